// Package operation performs the product operations of Sluice: it turns an action of a person in the product into
// relationship writes that keep the product's rules. Each area has a file; plan.go and run.go hold the shared parts.
package operation

import (
	"log/slog"
	"time"

	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/pages"
	"github.com/sluice-authz/sluice/internal/tx"
)

// Engine is the part of authz.Engine that operations need.
type Engine interface {
	tx.Store
	authz.ResourceFinder
	authz.Writer
}

// Service performs operations on an engine.
type Service struct {
	engine Engine
	log    *slog.Logger
	now    func() time.Time

	// maxScanned is the highest number of objects that one page may read, if the actor may view only few of them.
	maxScanned int

	// maxRead is the highest number of relationships that a call which only reads, for example GetAccount, may read.
	maxRead int64
}

// Option sets an optional property of a Service.
type Option func(*Service)

// WithLogger makes the service log events that no answer reports, for example deletions that the start finishes.
func WithLogger(log *slog.Logger) Option { return func(s *Service) { s.log = log } }

// WithClock replaces the clock from which expirations are counted. A nil clock changes nothing.
func WithClock(now func() time.Time) Option {
	return func(s *Service) {
		if now != nil {
			s.now = now
		}
	}
}

// WithMaxScanned sets the highest number of objects that one page of contents may read, if the actor may view only few
// of them.
func WithMaxScanned(objects int) Option { return func(s *Service) { s.maxScanned = objects } }

// WithMaxRead sets the highest number of relationships that a call which only reads, for example GetAccount, may read.
func WithMaxRead(relationships int64) Option {
	return func(s *Service) { s.maxRead = relationships }
}

// New returns a Service on engine, which must hold the product's schema.
func New(engine Engine, options ...Option) *Service {
	s := &Service{
		engine:     engine,
		log:        slog.New(slog.DiscardHandler),
		now:        time.Now,
		maxScanned: 10_000,
		maxRead:    maxRead,
	}
	for _, option := range options {
		option(s)
	}
	return s
}

// Caller says on whose behalf an operation runs, and through which API key and request.
type Caller struct {
	// Actor is the person or service account that performs the operation. It is empty if the backend itself performs it.
	Actor authz.Actor

	// Key is the name of the API key, and RequestID the id of the request. Both are stored in the transaction's
	// metadata.
	Key       string
	RequestID string

	// Inspects is set if the API key may read everything when the backend itself performs the operation.
	Inspects bool

	// Reason says why the backend performs an operation that otherwise needs an actor. The metadata has it too. It is
	// empty with an actor, and for operations that never have one.
	Reason string

	// Idempotency identifies an operation whose retry must not perform it twice; nil if the caller gave no key.
	Idempotency *Idempotency
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

	// Roles are the roles of the person whose accounts are listed. ExpiresAt is when the last of these roles ends; zero
	// if one of them is permanent. Both fields are set only in lists.
	Roles     Roles
	ExpiresAt time.Time
}

// Member is a person, group or service account with its roles on a subscription or an account.
type Member struct {
	// User is the person, or empty for a group or service account. Holder is the group or service account, or zero for
	// a person. Only lists of the members of an account have groups and service accounts.
	User   authz.ID
	Holder authz.Holder

	Roles Roles

	// ExpiresAt is when the last of the roles ends; zero if one of them is permanent.
	ExpiresAt time.Time

	// Via has the groups through which the person has roles. Only lists of members and single members have it.
	Via []HolderRoles

	// Accounts are the person's roles on the accounts of the subscription, if the call asked for them. AccountsExpireAt
	// has an entry for each account on which all of these roles end: the time when the last of them ends.
	Accounts         map[authz.ID]Roles
	AccountsExpireAt map[authz.ID]time.Time
}

// Importer is an importer as operations show it. Source and Destination are empty where there is none.
type Importer struct {
	ID, Account         authz.ID
	Source, Destination authz.ID

	// LeftOut are the ends that a copy left out, "source" or "destination". It is nil if the actor may not know them.
	LeftOut []string

	// HiddenEnds lists "source" or "destination" if the importer was read and the actor may not view the connection
	// there.
	HiddenEnds []string
}

// Visibility says which people of an account see a connection.
type Visibility string

// A private connection is visible only to its creator and to the people in its Users. A shared one is visible to the
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
	// Users are the people that the connection is shared with by name.
	Users []authz.ID
	Group authz.ID
}

// Workspace is a workspace of an account.
type Workspace struct {
	ID, Account authz.ID
	Open        bool
	// Users are the people who may enter a workspace that is not open. Administrators may also enter it.
	Users []authz.ID
}

// Connector is a connector of the catalogue or of an account.
type Connector struct {
	ID authz.ID
	// Account is the account that built the connector. It is empty for a connector of the catalogue.
	Account      authz.ID
	Capabilities []string
}

// Part is an object that has only a parent: a flow, schedule or service in a workspace, or an integration, export,
// report or connector in an account.
type Part struct {
	Type   authz.Type
	ID     authz.ID
	Parent authz.Object
}

// NewSubscription describes a subscription to create.
type NewSubscription struct {
	ID       authz.ID
	RoleSet  string
	Owner    authz.ID
	Features []string
}

// NewAccount describes an account to create.
type NewAccount struct {
	ID, Subscription authz.ID
	RoleSet          string
}

// NewImporter describes an importer to create. Source and Destination may be empty.
type NewImporter struct {
	ID, Account         authz.ID
	Source, Destination authz.ID
}

// ImporterEnds says which ends of an importer to change: nil leaves an end unchanged, an empty id removes it.
type ImporterEnds struct {
	Source, Destination *authz.ID
}

// NewConnection describes a connection to create. An empty Visibility means the account's default.
type NewConnection struct {
	ID, Account authz.ID
	Connector   authz.ID
	Visibility  string
}

// Sharing says who may see a connection. Users must be empty unless Visibility is "private".
type Sharing struct {
	Visibility string
	Users      []authz.ID
}

// Access says who may enter a workspace. Users must be empty if Open is true.
type Access struct {
	Open  bool
	Users []authz.ID
}

// NewWorkspace describes a workspace to create.
type NewWorkspace struct {
	ID, Account authz.ID
	Access      Access
}

// Page selects at most Limit entries (0: DefaultLimit) of a list that is sorted by id. They follow Cursor, which an
// earlier page of the same list returned. With the cursor of another list, the error has CodeInvalid.
type Page struct {
	Limit  int
	Cursor string

	cursors pages.Cursors // cursors of the list, see Page.of
}

// How many entries a page has by default, and at most.
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
