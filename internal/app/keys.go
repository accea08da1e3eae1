package app

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/sluice-authz/sluice/internal/apikey"
)

// shortKey is below what a key has that was made at random, even one of letters and digits alone.
const shortKey = 16

// openKeys reads the keys that were configured. If there are none, it makes one with every scope.
func (s *Server) openKeys() error {
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
		if parts := strings.SplitN(text, ":", 3); len(parts[2]) < shortKey {
			s.log.Warn("the API key is so short that it can be guessed; `sluice key new` makes a good one", "key", parts[0])
		}
	}
	s.keys, err = apikey.New(keys...)
	return err
}

// Reload reads the keys file again. If it is wrong, the keys stay as they are, and the error says why.
func (s *Server) Reload() error {
	if s.config.APIKeysFile == "" {
		return errors.New("there is no keys file to read again: --api-keys-file was not given")
	}
	keys, err := s.config.readKeys()
	if err != nil {
		return err
	}
	return s.keys.Replace(keys)
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
