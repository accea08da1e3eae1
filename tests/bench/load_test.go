package bench_test

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// target is an endpoint to which the benchmark sends many requests.
type target struct {
	name   string
	method string // POST if empty
	url    string
	header map[string]string
	body   func(i int) string
}

// sample is the result of one round of load on one target, or the median of several rounds.
type sample struct {
	perSecond float64
	p50, p99  time.Duration
	each      []float64 // perSecond of each round, in order
}

// ratio returns how many times as fast a was as b. It is the median of the ratios of all rounds. In each round, a
// and b were measured shortly after each other.
func ratio(a, b sample) float64 {
	ratios := make([]float64, len(a.each))
	for i := range ratios {
		ratios[i] = a.each[i] / b.each[i]
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

const (
	rounds = 7
	round  = 1500 * time.Millisecond
)

// sideBySide puts the same load on the targets, one after the other, in several rounds. The order differs from round
// to round, so that a noisy machine disturbs all targets alike. For each target, it returns the median of the
// rounds.
func sideBySide(b *testing.B, connections int, targets ...target) map[string]sample {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{
		MaxIdleConns: connections, MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections,
	}}
	defer client.CloseIdleConnections()
	samples := make(map[string][]sample)
	for i := range rounds + 1 {
		for j := range targets {
			t := targets[(i+j)%len(targets)]
			s := load(b, client, connections, t)
			if i > 0 { // the result of the first round does not count, since it fills caches
				samples[t.name] = append(samples[t.name], s)
			}
		}
	}
	medians := make(map[string]sample)
	for name, s := range samples {
		var each []float64
		for _, one := range s {
			each = append(each, one.perSecond)
		}
		slices.SortFunc(s, func(x, y sample) int { return int(x.perSecond - y.perSecond) })
		median := s[len(s)/2]
		median.each = each
		medians[name] = median
	}
	return medians
}

// load sends requests to the target on all connections, during one round.
func load(b *testing.B, client *http.Client, connections int, t target) sample {
	b.Helper()
	runtime.GC()
	var group sync.WaitGroup
	latencies := make([][]time.Duration, connections)
	failures := make(chan error, connections)
	begin := time.Now()
	for c := range connections {
		group.Go(func() {
			for i := c; time.Since(begin) < round; i += connections {
				start := time.Now()
				if err := ask(b, client, t, i); err != nil {
					failures <- err
					return
				}
				latencies[c] = append(latencies[c], time.Since(start))
			}
		})
	}
	group.Wait()
	took := time.Since(begin)
	select {
	case err := <-failures:
		b.Fatalf("%s: %v", t.name, err)
	default:
	}
	all := slices.Sorted(slices.Values(slices.Concat(latencies...)))
	return sample{
		perSecond: float64(len(all)) / took.Seconds(),
		p50:       all[len(all)/2],
		p99:       all[len(all)*99/100],
	}
}

func ask(b *testing.B, client *http.Client, t target, i int) error {
	request, err := http.NewRequestWithContext(
		b.Context(), cmp.Or(t.method, http.MethodPost), t.url, strings.NewReader(t.body(i)),
	)
	if err != nil {
		return err
	}
	for name, value := range t.header {
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode/100 != 2 {
		text, _ := bufio.NewReader(response.Body).ReadString('\n')
		return fmt.Errorf("%s: %s", response.Status, text)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

func report(b *testing.B, results map[string]sample, names ...string) {
	b.Helper()
	for _, name := range names {
		s := results[name]
		b.ReportMetric(s.perSecond, name+"/s")
		b.ReportMetric(float64(s.p50.Microseconds()), name+"-p50-µs")
		b.ReportMetric(float64(s.p99.Microseconds()), name+"-p99-µs")
	}
	b.ReportMetric(0, "ns/op")
}
