// Package operation holds the product operations of Sluice: what a person does in the product, turned into
// relationship writes that keep the product's invariants. Each area has a file; plan.go and executor.go hold what
// they share.
package operation

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/tx"
)

// Engine is the part of authz.Engine that operations need.
type Engine interface {
	tx.Store

	DeleteAll(
		ctx context.Context, filter authz.Filter, preconditions []authz.Precondition, metadata map[string]any,
	) (authz.Token, error)
	LookupResources(
		ctx context.Context, query authz.ResourceQuery, at authz.Consistency, page authz.Page,
	) iter.Seq2[authz.FoundResource, error]
}

// Service performs operations on an engine.
type Service struct {
	engine Engine
	log    *slog.Logger
	now    func() time.Time

	// maxScanned is how many objects one page looks at, where the actor sees few of them.
	maxScanned int

	// maxRead is how many relationships an answer that changes nothing rests on at most.
	maxRead int64
}

// Option changes what is optional about a Service.
type Option func(*Service)

// WithLogger makes the service log what no answer can tell, such as deletions finished at the start.
func WithLogger(log *slog.Logger) Option { return func(s *Service) { s.log = log } }

// WithClock replaces the clock that expirations are counted from; nil leaves it as it is.
func WithClock(now func() time.Time) Option {
	return func(s *Service) {
		if now != nil {
			s.now = now
		}
	}
}

// WithMaxScanned replaces how many objects one page of contents looks at, where the actor sees few of them.
func WithMaxScanned(objects int) Option { return func(s *Service) { s.maxScanned = objects } }

// WithMaxRead replaces how many relationships an answer that changes nothing rests on at most.
func WithMaxRead(relationships int64) Option {
	return func(s *Service) { s.maxRead = relationships }
}

// New returns a Service on engine, which must hold the product's schema.
func New(engine Engine, options ...Option) *Service {
	s := &Service{engine: engine, log: slog.New(slog.DiscardHandler), now: time.Now, maxScanned: 10_000, maxRead: maxRead}
	for _, option := range options {
		option(s)
	}
	return s
}

// Caller is on whose behalf an operation runs, and through whom.
type Caller struct {
	// Actor is the person who performs the operation. It is empty for those that the backend itself performs.
	Actor authz.ID

	// Key is the name of the API key, and RequestID the id of the request; both go into the transaction's metadata.
	Key       string
	RequestID string

	// Reason says why the backend performs an operation that else a person performs; it goes into the metadata, too. It is empty
	// with an actor, and for operations that are the backend's own.
	Reason string

	// Idempotency is how the caller recognizes an operation that they ask for again; nil if they do not.
	Idempotency *Idempotency

	// reassigned collects what the call reassigns; nil if it does not report that.
	reassigned *reassignments
}

// Roles are the roles of one person on one object, in the order of its role set.
type Roles []authz.Role

// Subscription is a subscription as operations show it.
type Subscription struct {
	ID       authz.ID
	RoleSet  authz.RoleSetName
	Features []authz.Feature
}

// Account is an account as operations show it.
type Account struct {
	ID           authz.ID
	Subscription authz.ID
	RoleSet      authz.RoleSetName

	// Roles are those of the person whom a list of accounts is for, and ExpiresAt is when the last of them ends, zero if one of
	// them does not; lists alone fill them.
	Roles     Roles
	ExpiresAt time.Time
}

// Member is a person with their roles on a subscription or an account.
type Member struct {
	User  authz.ID
	Roles Roles

	// ExpiresAt is when the last of the roles ends; zero if one of them does not.
	ExpiresAt time.Time

	// Accounts are the person's roles on the accounts of the subscription, if they were asked for, and AccountsExpireAt is when
	// those end that do.
	Accounts         map[authz.ID]Roles
	AccountsExpireAt map[authz.ID]time.Time
}

// Importer is an importer as operations show it. Source and Destination are empty where there is none.
type Importer struct {
	ID, Account         authz.ID
	Source, Destination authz.ID

	// LeftOut are the ends that a copy did not take along, "source" or "destination".
	LeftOut []string

	// HiddenEnds are the ends whose connection the actor may not view, if the importer was read: "source" or
	// "destination".
	HiddenEnds []string
}

// Visibility says who of an account sees a connection.
type Visibility string

// A private connection is seen by its creator and by those that it is shared with by name, a shared one by the
// whole account.
const (
	Private Visibility = "private"
	Shared  Visibility = "shared"
)

// Connection is a connection as operations show it.
type Connection struct {
	ID, Account authz.ID
	Connector   authz.ID
	Visibility  Visibility
	Users       []authz.ID // whom it is shared with by name
	Group       authz.ID
}

// Workspace is a workspace as operations show it.
type Workspace struct {
	ID, Account authz.ID
	Open        bool
	Users       []authz.ID // who may enter a workspace that is not open, beside administrators
}

// Connector is a connector of the catalogue or of an account.
type Connector struct {
	ID           authz.ID
	Account      authz.ID // which built it; empty for one of the catalogue
	Capabilities []string
}

// Part is an object that has nothing but a place: a flow, schedule or service of a workspace, an integration, export,
// report or connector of an account.
type Part struct {
	Type   authz.Type
	ID     authz.ID
	Parent authz.Object
}

// NewSubscription asks for a subscription.
type NewSubscription struct {
	ID       authz.ID
	RoleSet  string
	Owner    authz.ID
	Features []string
}

// NewAccount asks for an account.
type NewAccount struct {
	ID, Subscription authz.ID
	RoleSet          string
}

// NewImporter asks for an importer; Source and Destination may be empty.
type NewImporter struct {
	ID, Account         authz.ID
	Source, Destination authz.ID
}

// ImporterEnds says which ends of an importer to change: nil leaves an end as it is, an empty id removes it.
type ImporterEnds struct {
	Source, Destination *authz.ID
}

// NewConnection asks for a connection. An empty Visibility takes the account's default.
type NewConnection struct {
	ID, Account authz.ID
	Connector   authz.ID
	Visibility  string
}

// Sharing says who is to see a connection; Users only goes with "private".
type Sharing struct {
	Visibility string
	Users      []authz.ID
}

// Access says who is to enter a workspace; Users only goes with Open false.
type Access struct {
	Open  bool
	Users []authz.ID
}

// NewWorkspace asks for a workspace.
type NewWorkspace struct {
	ID, Account authz.ID
	Access      Access
}

// Page asks for a part of a list that is sorted by id: at most Limit entries (0: DefaultLimit) after Cursor, which is one
// that a page of the same list gave. The cursor of another list is an error with CodeInvalid.
type Page struct {
	Limit  int
	Cursor string

	cursors authz.Cursors // of the list, see Page.of
}

// How long a page is, if nothing else is said, and at most.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
)

// Accounts is a page of accounts; NextCursor is empty at the end.
type Accounts struct {
	Accounts   []Account
	NextCursor string
}

// Members is a page of members; NextCursor is empty at the end.
type Members struct {
	Members    []Member
	NextCursor string
}
