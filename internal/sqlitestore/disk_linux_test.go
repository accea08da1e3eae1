package sqlitestore

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func init() {
	children["full"] = fillDisk
	children["read-only"] = openReadOnly
	children["full for a backup"] = restoreToFull
}

// runInMount runs a child process in a mount namespace of its own, so that it may mount a disk on the directory.
func runInMount(t *testing.T, name string) {
	t.Helper()
	directory := t.TempDir()
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), childName+"="+name, childDirectory+"="+directory)
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		command.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		command.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		command.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := command.CombinedOutput()
	if command.ProcessState == nil {
		t.Skipf("this system does not let a test mount a disk of its own: %v", err)
	}
	require.NoError(t, err, "%s", out)
	t.Logf("%s", out)
}

// mountDisk mounts a small tmpfs on the directory, for this process alone.
func mountDisk(directory, size string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	return syscall.Mount("tmpfs", directory, "tmpfs", 0, "size="+size)
}

func TestReadOnlyDisk(t *testing.T) { runInMount(t, "read-only") }

func openReadOnly(directory string) error {
	if err := mountDisk(directory, "8m"); err != nil {
		return err
	}
	s, err := Open(directory, Options{})
	if err != nil {
		return err
	}
	if err := errors.Join(writeBatch(background, s, 0, 1), s.Close()); err != nil {
		return err
	}
	if err := syscall.Mount("", directory, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		return err
	}
	for _, path := range []string{directory, filepath.Join(directory, "new")} {
		_, err := Open(path, Options{})
		if !errors.Is(err, errNotWritable) {
			return fmt.Errorf("opening %s: %w", path, err)
		}
		fmt.Println(err)
	}
	return nil
}

func TestFullDisk(t *testing.T) { runInMount(t, "full") }

// fillDisk writes until the disk is full. It checks that exactly the acknowledged writes are stored, and that writes
// succeed again once there is space.
func fillDisk(directory string) error {
	if err := mountDisk(directory, "4m"); err != nil {
		return err
	}
	filler := filepath.Join(directory, "filler")
	if err := os.WriteFile(filler, make([]byte, 1<<20), 0o600); err != nil {
		return err
	}
	s, err := Open(directory, Options{})
	if err != nil {
		return err
	}
	number := 0
	for ; err == nil; number++ {
		err = writeBatch(background, s, 0, number+1)
	}
	number-- // the last write failed
	if !errors.Is(err, ErrFull) {
		return fmt.Errorf("after %d batches: %w", number, err)
	}
	fmt.Println(err)
	for range 3 {
		if err := writeBatch(background, s, 0, number+1); !errors.Is(err, ErrFull) {
			return fmt.Errorf("writing to the full disk again: %w", err)
		}
		if last, err := lastBatch(background, s, 0); err != nil || last != number {
			return fmt.Errorf("batch %d is the last instead of %d: %w", last, number, err)
		}
	}
	if err := os.Remove(filler); err != nil {
		return err
	}
	if err := writeBatch(background, s, 0, number+1); err != nil {
		return fmt.Errorf("writing after space was freed: %w", err)
	}
	if err := s.Close(); err != nil {
		return err
	}
	if s, err = Open(directory, Options{}); err != nil {
		return err
	}
	if last, err := lastBatch(background, s, 0); err != nil || last != number+1 {
		return fmt.Errorf("after a restart, batch %d is the last instead of %d: %w", last, number+1, err)
	}
	return s.Close()
}

func TestRestoreToAFullDisk(t *testing.T) { runInMount(t, "full for a backup") }

// restoreToFull makes a backup and restores one on a full disk. It checks the error and that no file is left over.
func restoreToFull(directory string) error {
	elsewhere, err := os.MkdirTemp("", "sluice-restore")
	if err != nil {
		return err
	}
	defer os.RemoveAll(elsewhere)
	s, err := Open(elsewhere, Options{})
	if err != nil {
		return err
	}
	backup := filepath.Join(elsewhere, "backup.db")
	_, err = Backup(background, elsewhere, backup)
	if err := errors.Join(writeBatch(background, s, 0, 1), err, s.Close(), mountDisk(directory, "20k")); err != nil {
		return err
	}
	if _, err := Backup(background, elsewhere, filepath.Join(directory, "backup.db")); !errors.Is(err, ErrFull) {
		return fmt.Errorf("a backup: %w", err)
	}
	if _, _, err := Restore(background, backup, directory, RestoreOptions{}); !errors.Is(err, ErrFull) {
		return fmt.Errorf("restoring: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(directory, "*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != lockFile {
		return fmt.Errorf("only the lock file must be left, but there are %v: %w", left, err)
	}
	return nil
}
