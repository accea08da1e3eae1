package app

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-authz/sluice/internal/apikey"
	"github.com/sluice-authz/sluice/internal/authz"
	"github.com/sluice-authz/sluice/internal/httpapi"
	"github.com/sluice-authz/sluice/schema"
)

// openKeys reads the configured keys. If there are none, it generates one with every scope.
func (s *Server) openKeys(ctx context.Context, metrics *httpapi.Metrics) error {
	keys, err := s.config.readKeys()
	if err != nil {
		return err
	}
	if len(s.config.APIKeys) == 0 && s.config.APIKeysFile == "" {
		made, key, err := apikey.Generate("start", apikey.AllScopes)
		if err != nil {
			return err
		}
		s.APIKey, keys = made, append(keys, key)
	}
	for _, text := range s.config.APIKeys {
		if apikey.IsShort(text) {
			name, _, _ := strings.Cut(text, ":")
			s.log.Warn("the API key is short enough to be guessed; `sluice key new` makes a long one", "key", name)
		}
	}
	if s.keys, err = apikey.New(keys...); err != nil {
		return err
	}
	metrics.Register(keyExpiry{keys: s.keys, now: s.now})
	s.warnOfExpiry()
	s.repeat(ctx, 24*time.Hour, s.warnOfExpiry)
	return nil
}

// expiryWarning is how long before a key expires the server starts to log warnings.
const expiryWarning = 14 * 24 * time.Hour

// warnOfExpiry logs each key that has expired or expires soon.
func (s *Server) warnOfExpiry() {
	now := s.now()
	for _, key := range s.keys.All() {
		switch {
		case key.ExpiresAt.IsZero() || key.ExpiresAt.Sub(now) > expiryWarning:
		case key.HasExpired(now):
			s.log.Warn("the API key has expired; `sluice key new` makes another", "key", key.Name, "expired_at", key.ExpiresAt)
		default:
			s.log.Warn("the API key expires soon; `sluice key new` makes another", "key", key.Name, "expires_at", key.ExpiresAt)
		}
	}
}

// warnOfUnknownTypes logs each type that a key may write, but that the schema does not have.
func (s *Server) warnOfUnknownTypes() {
	for _, key := range s.keys.All() {
		for _, typ := range key.WriteTypes {
			if err := s.types.CheckType(typ); err != nil {
				s.log.Warn(
					"a scope write:TYPE of the API key names a type that the schema does not have", "key", key.Name, "type", typ,
					"error", err.Error(),
				)
			}
		}
	}
}

// CheckWriteTypes returns an error if a type is one of the product's, or if the schema does not have it. file is the
// name of a schema file.
func CheckWriteTypes(ctx context.Context, file string, types []authz.Type) error {
	var served servedSchema
	var err error
	if served.File, err = loadSchema(ctx, file); err != nil {
		return err
	}
	if served.Summary, err = schema.Summarize(served.Text); err != nil {
		return err
	}
	rules, err := served.ownTypes()
	for _, typ := range types {
		if err == nil {
			err = rules.CheckType(typ)
		}
	}
	return err
}

func (s *Server) now() time.Time {
	if s.config.Clock != nil {
		return s.config.Clock()
	}
	return time.Now()
}

// keyExpiry is a metric: the seconds until each key expires.
type keyExpiry struct {
	keys *apikey.Keys
	now  func() time.Time
}

var keyExpiryDesc = prometheus.NewDesc("sluice_api_key_expires_in_seconds",
	"Seconds until the API key expires; negative after that. A key without an expiration has no value.",
	[]string{"key"}, nil)

// Describe implements prometheus.Collector.
func (keyExpiry) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- keyExpiryDesc }

// Collect implements prometheus.Collector.
func (e keyExpiry) Collect(values chan<- prometheus.Metric) {
	now := e.now()
	for _, key := range e.keys.All() {
		if !key.ExpiresAt.IsZero() {
			values <- prometheus.MustNewConstMetric(
				keyExpiryDesc, prometheus.GaugeValue, secondsBetween(now, key.ExpiresAt), key.Name,
			)
		}
	}
}

// secondsBetween returns the seconds from one time to another. A time.Duration could hold at most 292 years.
func secondsBetween(from, to time.Time) float64 {
	return float64(to.Unix()-from.Unix()) + float64(to.Nanosecond()-from.Nanosecond())/float64(time.Second)
}

func (s *Server) reloadKeys() error {
	keys, err := s.config.readKeys()
	if err != nil {
		return err
	}
	if err := s.keys.Replace(keys); err != nil {
		return err
	}
	s.warnOfExpiry()
	s.warnOfUnknownTypes()
	return nil
}

func (c Config) readKeys() ([]apikey.Key, error) {
	var keys []apikey.Key
	for _, text := range c.APIKeys {
		key, err := apikey.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("--api-key: %w", err)
		}
		keys = append(keys, key)
	}
	if c.APIKeysFile == "" {
		return keys, nil
	}
	file, err := os.Open(c.APIKeysFile)
	if err != nil {
		return nil, fmt.Errorf("--api-keys-file: %w", err)
	}
	defer func() { _ = file.Close() }()
	inFile, err := apikey.ParseFile(file)
	if err != nil {
		return nil, fmt.Errorf("--api-keys-file: %s: %w", c.APIKeysFile, err)
	}
	return append(keys, inFile...), nil
}
