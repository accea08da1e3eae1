package app

import (
	"log/slog"
	"os"
	"path/filepath"
)

// warnOfOtherUsers logs a warning for a data directory that other users can write, and for each file in it that other
// users can read or write. Sluice itself creates no such directory or file. This is no error, since for example the
// volume of a container can have a mode that the user did not choose.
func warnOfOtherUsers(log *slog.Logger, directory string) {
	const whoMayWrite, whoMayRead = 0o022, 0o077
	if info, err := os.Stat(directory); err == nil && info.Mode().Perm()&whoMayWrite != 0 {
		log.Warn("other users can write the data directory; run chmod 700", slog.String("directory", directory),
			slog.String("mode", info.Mode().Perm().String()))
	}
	entries, err := os.ReadDir(directory)
	if err != nil {
		return
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&whoMayRead != 0 {
			log.Warn("other users can read or write a file of the data directory; run chmod 600",
				slog.String("file", filepath.Join(directory, entry.Name())), slog.String("mode", info.Mode().Perm().String()))
		}
	}
}
