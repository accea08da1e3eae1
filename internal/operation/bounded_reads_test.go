package operation_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/operation"
	"github.com/sluice-authz/sluice/internal/tx/txtest"
)

// crowd is a store that also has very many relationships whose subject is peter. It computes them, so that reading a
// few is cheap. It counts the relationships that are read before the first write, and fails every later write.
type crowd struct {
	*stopping

	t       *testing.T
	account string // of peter's many shares; if empty, peter has sent many invitations instead
	creates bool   // peter has created many importers in the account t instead
	mu      sync.Mutex
	read    int
}

// sizeOfCrowd is how many relationships of crowd have peter as subject.
const sizeOfCrowd = 5 * authz.MaxUpdates

// relationship returns the computed relationship with this number, if the filter selects it.
func (c *crowd) relationship(filter authz.Filter, number int) string {
	sharesOfPeter := authz.Filter{Type: "connection", Relation: "shared_with", SubjectType: "user", SubjectID: "peter"}
	namesPeter := filter.SubjectID == "peter" && (filter.Relation == "" || filter.Relation == "inviter")
	creationsOfPeter := authz.Filter{Type: "importer", Relation: "creator", SubjectType: "user", SubjectID: "peter"}
	isCreation := filter.Type == "importer" && strings.HasPrefix(string(filter.ID), "m")
	switch {
	case c.creates && filter == creationsOfPeter:
		return fmt.Sprintf("importer:m%d#creator@user:peter", number)
	case c.creates && isCreation && number < 2:
		return "importer:" + string(filter.ID) + []string{"#account@account:t", "#creator@user:peter"}[number]
	case c.creates:
	case c.account != "" && filter == sharesOfPeter:
		return fmt.Sprintf("connection:s%d#shared_with@user:peter", number)
	case c.account != "" && strings.HasPrefix(string(filter.ID), "s") && filter.Relation == "account" && number == 0:
		return "connection:" + string(filter.ID) + "#account@account:" + c.account
	case c.account == "" && filter.Type == "invitation" && namesPeter:
		return fmt.Sprintf("invitation:i%d#inviter@user:peter", number)
	}
	return ""
}

func (c *crowd) Read(
	ctx context.Context, filter authz.Filter, at authz.Consistency, page authz.Page,
) iter.Seq2[authz.ReadItem, error] {
	return func(yield func(authz.ReadItem, error) bool) {
		more := func(item authz.ReadItem, err error) bool {
			if c.writes > 0 {
				c.mu.Lock()
				c.read++
				c.mu.Unlock()
			}
			return yield(item, err)
		}
		if c.relationship(filter, 0) == "" {
			c.stopping.Read(ctx, filter, at, page)(more)
			return
		}
		for i := range sizeOfCrowd {
			text := c.relationship(filter, i)
			if text == "" || page.Limit > 0 && i == page.Limit || ctx.Err() != nil {
				return
			}
			if !more(authz.ReadItem{Relationship: txtest.Relationship(c.t, text)}, nil) {
				return
			}
		}
	}
}

// removalsOfPeter are the operations that end all roles of peter on account t.
var removalsOfPeter = []struct {
	name string
	do   func(ctx context.Context, s *operation.Service) error
}{
	{"removed from the account", func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveAccountMember(ctx, by("olga"), "t", "peter")
		return err
	}},
	{"leaving the account", func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveAccountMember(ctx, by("peter"), "t", "peter")
		return err
	}},
	{"patched to nothing", func(ctx context.Context, s *operation.Service) error {
		changes := map[authz.ID][]string{"peter": {}, "ursula": {"user"}}
		_, _, err := s.PatchAccountMembers(ctx, by("olga"), "t", changes, time.Time{})
		return err
	}},
	{"put to nothing", func(ctx context.Context, s *operation.Service) error {
		changes := map[authz.ID][]string{"t": {}, "o": {}}
		_, _, err := s.PutMemberAccounts(ctx, by("olga"), "s", "peter", changes, time.Time{})
		return err
	}},
	{"removed from the subscription", func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveSubscriptionMember(ctx, by("olga"), "s", "peter")
		return err
	}},
	{"leaving the subscription", func(ctx context.Context, s *operation.Service) error {
		_, err := s.RemoveSubscriptionMember(ctx, by("peter"), "s", "peter")
		return err
	}},
	{"reassigned on the account", func(ctx context.Context, s *operation.Service) error {
		to := operation.Handover{To: "ursula", Private: "disconnect"}
		_, _, err := s.HandOverAccountMember(ctx, by("olga"), "t", "peter", to)
		return err
	}},
	{"erased", func(ctx context.Context, s *operation.Service) error {
		_, err := s.EraseUser(ctx, by(""), "peter")
		return err
	}},
}

// TestRemovalReadsFewSharesBeforeItsFirstWrite removes a person with many times as many shares or invitations as one
// write can delete. The first write must end the role after a bounded number of reads. Further writes do the rest.
func TestRemovalReadsFewSharesBeforeItsFirstWrite(t *testing.T) {
	for kind, account := range map[string]string{"shares": "t", "shares elsewhere": "of-one", "invitations": ""} {
		for _, removal := range removalsOfPeter {
			t.Run(kind+", "+removal.name, func(t *testing.T) {
				store := txtest.New(txtest.Relationships(t, append(company[:len(company):len(company)], "subscription:s#member@user:peter")...)...)
				store.Now, store.Allow = nowOfRules, func(authz.Check) bool { return true }
				crowd := &crowd{stopping: &stopping{store, 1}, t: t, account: account}
				err := removal.do(t.Context(), operation.New(crowd, operation.WithClock(store.Now)))
				require.ErrorIs(t, err, errStopped, "the removal takes several writes")
				stored := strings.Join(store.Stored(), "\n")
				require.NotContains(t, stored, "account:t#user@user:peter")
				require.Contains(t, stored, "offboarding:peter#from")
				require.LessOrEqual(t, crowd.read, 3*authz.MaxUpdates)
			})
		}
	}
}
