package apikey

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Rate is the number of requests that a key may make in a second or minute.
type Rate struct {
	Requests int
	Per      time.Duration // a second or a minute
}

// String returns the rate as it is written in a keys file, for example 50/s.
func (r Rate) String() string {
	unit := "s"
	if r.Per == time.Minute {
		unit = "m"
	}
	return strconv.Itoa(r.Requests) + "/" + unit
}

const maxRate = 1_000_000

// ParseRate parses a rate, for example 50/s or 600/m.
func ParseRate(text string) (Rate, error) {
	count, unit, _ := strings.Cut(text, "/")
	requests, err := strconv.Atoi(count)
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute}[unit]
	if err != nil || per == 0 || requests < 1 || requests > maxRate {
		return Rate{}, errors.New("a rate is a number from 1 to 1000000, followed by /s or /m, for example 50/s")
	}
	return Rate{Requests: requests, Per: per}, nil
}

// limiter returns a token bucket that enforces the rate, or nil if there is no rate. A client may send the requests
// of a whole second or minute at once.
func (r Rate) limiter() *rate.Limiter {
	if r == (Rate{}) {
		return nil
	}
	limit := rate.Limit(float64(r.Requests) / r.Per.Seconds())
	return rate.NewLimiter(limit, r.Requests)
}
