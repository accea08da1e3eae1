package tests

import (
	"slices"
	"strings"

	"github.com/sluice-authz/sluice/internal/authz"
)

// eachSimpleType returns the text once for each of authz.SimpleTypes, with its placeholders filled. $type is the
// name of the type, $types its collection, and $place the type of the object that contains it. $in is an entry of
// places: that of the containing type, or for an account that of the account's role set.
func eachSimpleType(text string, places map[string]string) []string {
	var filled []string
	for _, typ := range authz.SimpleTypes {
		in := places[string(typ.Place)]
		if typ.Place == "account" {
			in = places[string(typ.RoleSets[0])]
		}
		filled = append(filled, strings.NewReplacer(
			"$types", typ.Collection(), "$type", string(typ.Name), "$place", string(typ.Place), "$in", in,
		).Replace(text))
	}
	return filled
}

// simpleProbes returns a request about an object of each simple type (see authz.SimpleTypes), in the form of probes.
func simpleProbes(request string) []struct{ object, request string } {
	var found []struct{ object, request string }
	for i, filled := range eachSimpleType(request, map[string]string{
		"workspace": "workspace", "team": "a", "operations": "o", "analytics": "n",
	}) {
		found = append(found, struct{ object, request string }{string(authz.SimpleTypes[i].Name), filled})
	}
	return found
}

// simpleCreations returns a request for each simple type that creates an object in the accounts or the workspace of
// the user sven.
func simpleCreations() []struct{ object, request string } {
	found := simpleProbes("POST $types {id: $ID, $place: $in}")
	for i, filled := range eachSimpleType("POST $types {id: $ID, $place: ~$in}", map[string]string{
		"workspace": "xw", "team": "xt", "operations": "xo", "analytics": "xn",
	}) {
		found[i].request = filled
	}
	return found
}

// placeProbes returns, for each simple type, a request about the account or workspace that contains objects of the
// type.
func placeProbes(request string) []struct{ object, request string } {
	found := simpleProbes(request)
	for i, typ := range authz.SimpleTypes {
		found[i].object = map[authz.RoleSetName]string{
			authz.Team: "a", authz.Operations: "o", authz.Analytics: "n",
		}[typ.RoleSets[0]]
		if typ.Place == "workspace" {
			found[i].object = "workspace"
		}
	}
	return found
}

// simpleSituations returns the situations byHand, and one situation for each of the simple types.
func simpleSituations(byHand []situation) []situation {
	all := slices.Clone(byHand)
	for _, typ := range authz.SimpleTypes {
		s := situation{resource: typ.Name, operations: []string{
			"colleague POST " + typ.Collection() + " {id: ~it, account: ~account}",
		}}
		if typ.Place == "workspace" {
			s.words = "open"
			s.operations = []string{workspace("its-place", "open: true"), inWorkspace(typ.Collection())}
		}
		all = append(all, s)
	}
	return all
}
