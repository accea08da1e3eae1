package tests

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
)

// TestReadYourWrites lets many writers write concurrently through one server. Each writer reads its own writes,
// without tokens.
func TestReadYourWrites(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	line{"inline", "include team"}.play(s, "", "")
	var writers sync.WaitGroup
	for w := range 6 {
		writers.Go(func() {
			who := fmt.Sprintf("p%d", w)
			member := "accounts/" + s.id("a") + "/members/" + s.id(who)
			for i := range 12 {
				importer := s.id(fmt.Sprintf("%s-%d", who, i))
				for _, step := range []struct {
					from         caller
					method, path string
					body         any
					question     question
					want         bool
				}{
					{
						s.by("olga"), http.MethodPut, member, roles("guest"),
						question{"user:" + s.id(who), "view", "account:" + s.id("a")},
						true,
					},
					{
						s.by(who), http.MethodPost, "importers",
						map[string]any{"id": importer, "account": s.id("a")},
						question{"user:" + s.id(who), "edit", "importer:" + importer},
						true,
					},
					{
						s.by("olga"), http.MethodDelete, member, nil,
						question{"user:" + s.id(who), "edit", "importer:" + importer},
						false,
					},
				} {
					if a := step.from.call(step.method, step.path, step.body); a.status >= 300 {
						t.Errorf("%s: %d %s", a.request, a.status, a.body)
						return
					}
					var decision struct{ Allowed bool }
					s.call(http.MethodPost, "check", step.question).decode(t, &decision)
					if decision.Allowed != step.want {
						t.Errorf("%s: %t directly after the write, want %t", step.question, decision.Allowed, step.want)
					}
				}
			}
		})
	}
	writers.Wait()
}

// TestConsistency makes checks with each level of consistency, and with the token of a write.
func TestConsistency(t *testing.T) {
	t.Parallel()
	s := newScene(t, memory.get(t))
	line{"inline", "include team"}.play(s, "", "")
	token := s.by("olga").must(http.MethodPut, "accounts/"+s.id("a")+"/members/"+s.id("nina"), roles("user")).token(t)
	for _, consistency := range []any{"fully_consistent", map[string]string{"at_least_as_fresh": token}, nil} {
		body := map[string]any{"subject": "user:" + s.id("nina"), "permission": "view", "resource": "account:" + s.id("a")}
		if consistency != nil {
			body["consistency"] = consistency
		}
		var decision struct {
			Allowed bool
			Token   string
		}
		s.must(http.MethodPost, "check", body).decode(t, &decision)
		if !decision.Allowed || decision.Token == "" {
			t.Errorf("with %v: %+v", consistency, decision)
		}
	}
	s.must(http.MethodPost, "check", map[string]any{
		"subject": "user:" + s.id("nina"), "permission": "view", "resource": "account:" + s.id("a"),
		"consistency": "minimize_latency",
	}).token(t)
}
