// Package authz is the domain of Sluice in plain Go: objects, relationships, role sets, decisions, errors, and
// the Engine that stores relationships and evaluates permissions. It imports the standard library alone.
package authz
