package tests

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// tooLarge is the error code of a request whose evaluation needs too much.
const tooLarge = "too_large"

// verdicts has "yes", "no" or an error code for each permission, person or object in an answer. The key "" has that
// of the request as a whole.
type verdicts map[string]string

// anyError is an error in an answer. Sluice's own endpoints set the code, and AuthZEN's endpoints set the status.
type anyError struct {
	Code   string
	Status int
}

func (e anyError) String() string {
	if e.Status == http.StatusRequestEntityTooLarge {
		return tooLarge
	}
	return cmp.Or(e.Code, fmt.Sprint(e.Status))
}

// anyItem is an item of a list in an answer, or the whole answer to a single check.
type anyItem struct {
	Allowed, Decision           *bool
	Subject, Resource, ID, Name string
	Gains                       []string
	Error                       *anyError
	Context                     *struct {
		Error  *anyError
		Errors []anyItem
	}
}

func (i anyItem) verdict() string {
	failed := i.Error
	if i.Context != nil && i.Context.Error != nil {
		failed = i.Context.Error
	}
	decided := i.Allowed
	if decided == nil {
		decided = i.Decision
	}
	switch {
	case failed != nil:
		return failed.String()
	case decided != nil && !*decided:
		return "no"
	default:
		return "yes"
	}
}

// verdictsOf reads the answer to any of the requests in endlessCalls.
func verdictsOf(t *testing.T, text []byte) verdicts {
	t.Helper()
	found := make(verdicts)
	add := func(name string, item anyItem) { found[name] = item.verdict() }
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		var whole struct {
			anyItem
			Results, Evaluations, Resources, Subjects, Effects []anyItem
			Undecided                                          []struct {
				Resource string
				Errors   map[string]anyError
			}
			Permissions map[string]bool
			Errors      map[string]anyError
			Code        string
		}
		require.NoError(t, json.Unmarshal(line, &whole), "%s", text)
		switch {
		case whole.Code != "":
			found[""] = whole.Code
		case whole.Allowed != nil && whole.Subject != "": // a line of a stream
			add(whole.Subject, whole.anyItem)
		case whole.Allowed != nil || whole.Decision != nil || whole.Error != nil:
			add("", whole.anyItem)
		}
		for name, may := range whole.Permissions {
			add(name, anyItem{Allowed: &may})
		}
		for name, failed := range whole.Errors {
			found[name] = failed.String()
		}
		items := slices.Concat(whole.Results, whole.Evaluations, whole.Resources, whole.Subjects)
		if whole.Context != nil {
			items = append(items, whole.Context.Errors...)
		}
		for i, item := range items {
			add(cmp.Or(item.Subject, item.Resource, item.ID, item.Name, fmt.Sprint(i)), item)
		}
		for _, undecided := range whole.Undecided {
			for permission, failed := range undecided.Errors {
				found[undecided.Resource+" "+permission] = failed.String()
			}
		}
		for _, effect := range whole.Effects {
			for _, gain := range effect.Gains {
				add(effect.Resource+" "+gain, effect)
			}
		}
	}
	return found
}
