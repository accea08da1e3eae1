// Package authz is the domain of Sluice: objects, relationships, role sets, decisions and errors. It also declares
// Engine, which stores relationships and evaluates permissions. It imports only the standard library.
package authz
