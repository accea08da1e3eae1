package client

import (
	"context"

	"github.com/sluice-authz/sluice/client/rest"
)

// AddPlatformAdministrator makes a person an administrator of the platform. It needs a key with the scope provision.
func (c *Client) AddPlatformAdministrator(ctx context.Context, user string) error {
	return done(c.rest.AddPlatformAdministrator(ctx, user, nil))
}

// RemovePlatformAdministrator makes a person no longer an administrator of the platform. It needs a key with the
// scope provision.
func (c *Client) RemovePlatformAdministrator(ctx context.Context, user string) error {
	return done(c.rest.RemovePlatformAdministrator(ctx, user, nil))
}

// RoleSets returns the role sets with their roles and titles.
func (c *Client) RoleSets(ctx context.Context) ([]RoleSet, error) {
	sets, err := answer[rest.RoleSets](c.rest.ListRoleSets(ctx))
	return sets.RoleSets, err
}

// Types returns the resource types of the served schema with their permissions.
func (c *Client) Types(ctx context.Context) ([]ResourceType, error) {
	catalogue, err := answer[rest.PermissionCatalogue](c.rest.DescribePermissions(ctx))
	return catalogue.Types, err
}
