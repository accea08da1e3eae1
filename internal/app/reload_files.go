package app

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// fileInterval is the time between two reads of the files whose changes the server uses without a restart.
const fileInterval = time.Second

// reloadableFile is a file, or a pair of files, that the server reads again when it changes.
type reloadableFile struct {
	reload func() error // keeps the earlier content in use if it fails
	failed string       // error of the last regular read; empty if it succeeded
}

// reloadable registers a file for Reload and reloadChangedFiles.
func (s *Server) reloadable(flag string, reload func() error) {
	s.files = append(s.files, &reloadableFile{reload: func() error {
		if err := reload(); err != nil {
			return fmt.Errorf("%s: %w", flag, err)
		}
		return nil
	}})
}

// Reload reads the keys file, the TLS certificate and the authorities of SpiceDB again. An invalid file keeps the
// earlier content in use. The error names each invalid file.
func (s *Server) Reload() error {
	var errs []error
	if s.config.APIKeysFile != "" {
		errs = append(errs, s.reloadKeys())
	}
	for _, file := range s.files {
		errs = append(errs, file.reload())
	}
	return errors.Join(errs...)
}

// reloadChangedFiles reads the registered files. It logs an error once, and again only after the error has changed.
func (s *Server) reloadChangedFiles() {
	for _, file := range s.files {
		text := ""
		if err := file.reload(); err != nil {
			text = err.Error()
		}
		if text != "" && text != file.failed {
			s.log.Error("cannot use a changed file; its earlier content stays in use", "error", text)
		}
		file.failed = text
	}
}

// repeat calls do at each interval until the server closes.
func (s *Server) repeat(ctx context.Context, interval time.Duration, do func()) {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	s.onClose(func(context.Context) error {
		stop()
		<-ended
		return nil
	})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-running.Done():
				return
			case <-ticker.C:
				do()
			}
		}
	}()
}
