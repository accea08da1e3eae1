//go:build unix

package ownfile

import (
	"io/fs"
	"os"
	"syscall"
)

const (
	noFollow  = syscall.O_NOFOLLOW
	othersMay = 0o077
)

// ownership reports whether the current user owns the file, and whether the file has a single name, that is, no
// second hard link.
func ownership(info fs.FileInfo) (owned, single bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int64(stat.Uid) == int64(os.Geteuid()), ok && stat.Nlink == 1
}
