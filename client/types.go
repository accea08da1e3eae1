package client

import "github.com/sluice-authz/sluice/client/rest"

type (
	// NewSubscription has the parameters of a new subscription. Its role set is single_owner or multi_owner.
	NewSubscription = rest.NewSubscription

	// NewAccount has the parameters of a new account. Its role set is team, operations or analytics.
	NewAccount = rest.NewAccount

	// NewImporter has the parameters of a new importer. Source and Destination may be empty.
	NewImporter = rest.NewImporter

	// NewConnection has the parameters of a new connection. An empty Visibility selects the account's default.
	NewConnection = rest.NewConnection

	// NewWorkspace has the parameters of a new workspace.
	NewWorkspace = rest.NewWorkspace

	// NewPart has the parameters of a new integration, export, report or connector of an account.
	NewPart = rest.NewPartOfAccount

	// NewWorkspacePart has the parameters of a new flow, schedule or service of a workspace.
	NewWorkspacePart = rest.NewPartOfWorkspace

	// Sharing selects the people of an account who see a connection. With Shared, everybody sees it. With Private,
	// only its creator and the people in Users see it.
	Sharing = rest.Sharing

	// Access selects the members of an account who may enter a workspace.
	Access = rest.Access

	// RolesByID maps the id of a person or an account to roles. An empty list removes every role.
	RolesByID = map[string][]string
)

type (
	// Subscription is a subscription with its features.
	Subscription = rest.Subscription

	// ListedSubscription is a subscription in the list of all subscriptions.
	ListedSubscription = rest.ListedSubscription

	// Group is a group of a subscription.
	Group = rest.Group

	// RemovedMember is the result of removing a person. Remaining has the groups through which the person still has
	// roles.
	RemovedMember = rest.RemovedMember

	// GroupRoles has the roles of a group on an account or a subscription.
	GroupRoles = rest.GroupRoles

	// AccountGroup is a group that holds roles on an account.
	AccountGroup = rest.AccountGroup

	// ServiceAccount is a service account of an account or subscription, with its roles there.
	ServiceAccount = rest.ServiceAccount

	// ListedServiceAccount is a service account in a list.
	ListedServiceAccount = rest.ListedServiceAccount

	// NewServiceAccount is a service account to create, with its roles.
	NewServiceAccount = rest.NewServiceAccount

	// ServiceAccountRoles has the roles of a service account on an account or subscription.
	ServiceAccountRoles = rest.ServiceAccountRoles

	// ListedGroup is a group in the list of a subscription's groups.
	ListedGroup = rest.ListedGroup

	// NewRole has the parameters of a new custom role. If From is not empty, the new role also has all permissions of
	// the role that From names.
	NewRole = rest.NewRole

	// RoleContent is the new content of a custom role.
	RoleContent = rest.RoleContent

	// RoleDefinition is a role that can be given on an account or subscription, with the permissions that it grants.
	RoleDefinition = rest.RoleDefinition

	// ListedRole is a role in a list.
	ListedRole = rest.ListedRole

	// Account is an account.
	Account = rest.Account

	// ListedAccount is an account in a list, with the roles of one person: of the person whose accounts are listed,
	// or of the actor.
	ListedAccount = rest.ListedAccount

	// Member is a person in a list of members, with the roles that the person holds.
	Member = rest.Member

	// MemberDetails is a member, as GetAccountMember and GetSubscriptionMember return it.
	MemberDetails = rest.MemberDetails

	// ChangedMember is a person with their roles after a change.
	ChangedMember = rest.ChangedMember

	// Offboarding has the access and the creations of a person that removing this person from an account would
	// affect.
	Offboarding = rest.Offboarding
	// Reassigned lists the objects that a removal reassigned to another person.
	Reassigned = rest.Reassigned

	// PrivateConnections selects what happens to the private connections of a removed person: Disconnect or Leave.
	PrivateConnections = rest.PrivateConnectionsOf

	// Importer is an importer. Source and Destination are empty if it has none.
	Importer = rest.Importer

	// CopiedImporter is the copy of an importer. LeftOut contains "source" or "destination" if the copy lacks this
	// connection.
	CopiedImporter = rest.CopiedImporter

	// Connection is a connection.
	Connection = rest.Connection

	// Connector is a connector of the catalogue or, if Account is set, of that account.
	Connector = rest.Connector

	// Workspace is a workspace.
	Workspace = rest.Workspace

	// Part is an integration, export, report or connector of an account.
	Part = rest.PartOfAccount

	// WorkspacePart is a flow, schedule or service of a workspace.
	WorkspacePart = rest.PartOfWorkspace

	// ResourceType is a type of resources in the schema, with its permissions.
	ResourceType = rest.ResourceType

	// RoleSet is a role set with its roles.
	RoleSet = rest.RoleSet
)

// The values of Visibility: a private connection, or one shared with the account.
const (
	Private = rest.Private
	Shared  = rest.Shared
)
