package httpapi

import (
	"context"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/sluice-authz/sluice/internal/authz"
)

// DescribePermissions implements ServerInterface.
func (a *systemAPI) DescribePermissions(c *gin.Context) {
	a.answer(c, http.StatusOK, func(ctx context.Context) (any, error) {
		definitions, err := a.definitions(ctx)
		if err != nil {
			return nil, err
		}
		catalogue := PermissionCatalogue{Types: []ResourceType{}}
		for _, definition := range definitions {
			if described := describe(definition); len(described.Permissions) > 0 {
				catalogue.Types = append(catalogue.Types, described)
			}
		}
		return catalogue, nil
	})
}

func describe(definition authz.Definition) ResourceType {
	described := ResourceType{Type: string(definition.Type), Description: definition.Doc}
	for _, permission := range definition.Permissions {
		if !permission.Internal {
			described.Permissions = append(described.Permissions, PermissionDescription{
				Name: string(permission.Name), Description: permission.Doc,
				Grantable: isGrantable(definition.Type, permission),
			})
		}
	}
	return described
}

// isGrantable reports whether custom roles can grant a permission. The mark of a permission of an own type has no
// effect.
func isGrantable(typ authz.Type, permission authz.PermissionInfo) bool {
	return permission.Grantable && slices.Contains(authz.Grantable, authz.Grant{Type: typ, Permission: permission.Name})
}

// ListRoleSets implements ServerInterface.
func (a *systemAPI) ListRoleSets(c *gin.Context) {
	a.answer(c, http.StatusOK, func(context.Context) (any, error) {
		sets := RoleSets{RoleSets: make([]RoleSet, len(authz.RoleSets))}
		for i, set := range authz.RoleSets {
			sets.RoleSets[i] = RoleSet{
				Name: string(
					set.Name,
				), On: string(set.On), Default: nilIfEmpty(set.Default), Roles: make([]Role, len(set.Roles)),
			}
			for j, role := range set.Roles {
				sets.RoleSets[i].Roles[j] = Role{
					Name: string(
						role.Name,
					), Title: role.Title, Additional: role.Additional, Requires: nilIfEmpty(role.Requires),
				}
			}
		}
		return sets, nil
	})
}
