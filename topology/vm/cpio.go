package vm

import (
	"fmt"
	"io"
	"path"
	"strings"
)

// archive writes an initramfs: a cpio archive in the format "newc"
// (Documentation/driver-api/early-userspace/buffer-format.rst). Directories above
// an entry are made on the way. The first error sticks.
type archive struct {
	w    io.Writer
	made map[string]bool
	ino  uint32
	err  error
}

func newArchive(w io.Writer) *archive {
	return &archive{w: w, made: map[string]bool{"/": true, ".": true}}
}

const (
	modeDir  = 0o040000
	modeFile = 0o100000
	modeChar = 0o020000
	modeLink = 0o120000
)

// dir adds a directory, if it is not there yet.
func (a *archive) dir(name string) {
	name = path.Clean(name)
	if a.made[name] {
		return
	}
	a.dir(path.Dir(name))
	a.made[name] = true
	a.entry(name, modeDir|0o755, 0, 0, nil)
}

// file adds a regular file with the permissions perm and reports whether it was new.
func (a *archive) file(name string, perm uint32, data []byte) bool {
	name = path.Clean(name)
	if a.made[name] {
		return false
	}
	a.dir(path.Dir(name))
	a.made[name] = true
	a.entry(name, modeFile|perm, 0, 0, data)
	return true
}

// link adds a symbolic link.
func (a *archive) link(name, target string) {
	a.dir(path.Dir(name))
	a.entry(name, modeLink|0o777, 0, 0, []byte(target))
}

// device adds a character device.
func (a *archive) device(name string, perm, major, minor uint32) {
	a.dir(path.Dir(name))
	a.entry(name, modeChar|perm, major, minor, nil)
}

// close writes the trailer and returns the first error of all.
func (a *archive) close() error {
	a.ino = 0
	a.entry("/TRAILER!!!", 0, 0, 0, nil)
	return a.err
}

func (a *archive) entry(name string, mode, major, minor uint32, data []byte) {
	if a.err != nil {
		return
	}
	if uint64(len(data)) > 0xFFFFFFFF {
		a.err = fmt.Errorf("vm: %s is too long for a cpio archive", name)
		return
	}
	a.ino++
	name = strings.TrimPrefix(name, "/")
	links := uint32(1)
	if mode&modeDir != 0 {
		links = 2
	}
	// magic, ino, mode, uid, gid, nlink, mtime, filesize, device of the file
	// system, device of the entry, length of the name with its NUL, check
	head := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.ino, mode, 0, 0, links, 0, len(data), 0, 0, major, minor, len(name)+1, 0, name)
	a.write([]byte(head))
	a.pad(len(head))
	a.write(data)
	a.pad(len(data))
}

// pad fills up to a multiple of four bytes.
func (a *archive) pad(n int) { a.write([]byte{0, 0, 0}[:-n&3]) }

func (a *archive) write(b []byte) {
	if a.err == nil && len(b) > 0 {
		_, a.err = a.w.Write(b)
	}
}
