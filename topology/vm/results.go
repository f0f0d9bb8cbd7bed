package vm

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// marker is the file by which a result directory of ours is known.
const marker = "result.json"

// ErrRefused says that Options.Out is a directory that is not ours to replace.
var ErrRefused = errors.New("vm: neither empty nor a result directory")

// checkOut refuses a directory that results must not replace.
func checkOut(out string) error {
	if out == "" {
		return nil
	}
	entries, err := os.ReadDir(out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("vm: --out: %w", err)
	case len(entries) == 0:
		return nil
	}
	if _, err := os.Stat(filepath.Join(out, marker)); err != nil {
		return fmt.Errorf("%w: %s", ErrRefused, out)
	}
	return nil
}

// An unpacker takes the archive with the results. With Options.Out they come into a
// directory beside it, which takes its place at the end; else each file comes to its
// place below Options.Dir.
type unpacker struct {
	out, tmp string
	pipe     *io.PipeWriter
	done     chan error
}

func newUnpacker(o *Options) (*unpacker, error) {
	u := &unpacker{out: o.Out, done: make(chan error, 1)}
	target, prefix := o.Dir, o.Dir
	if o.Out != "" {
		parent := filepath.Dir(o.Out)
		if err := os.MkdirAll(parent, 0o755); err != nil {
			return nil, fmt.Errorf("vm: results: %w", err)
		}
		tmp, err := os.MkdirTemp(parent, "."+filepath.Base(o.Out)+"-")
		if err != nil {
			return nil, fmt.Errorf("vm: results: %w", err)
		}
		if err := os.Chmod(tmp, 0o755); err != nil {
			return nil, fmt.Errorf("vm: results: %w", err)
		}
		u.tmp, target, prefix = tmp, tmp, o.Out
	}
	r, w := io.Pipe()
	u.pipe = w
	go func() {
		err := extract(r, target, prefix)
		r.CloseWithError(err)
		u.done <- err
	}()
	return u, nil
}

func (u *unpacker) write(p []byte) error {
	_, err := u.pipe.Write(p)
	return err
}

// finish waits for the archive's end and puts the directory into its place.
func (u *unpacker) finish() error {
	u.pipe.Close()
	if err := <-u.done; err != nil {
		os.RemoveAll(u.tmp)
		return fmt.Errorf("vm: results: %w", err)
	}
	if u.tmp == "" {
		return nil
	}
	if err := os.RemoveAll(u.out); err != nil {
		return fmt.Errorf("vm: results: %w", err)
	}
	return os.Rename(u.tmp, u.out)
}

// abort ends an unfinished extraction and removes what it made beside Out.
func (u *unpacker) abort() {
	u.pipe.CloseWithError(io.ErrUnexpectedEOF)
	<-u.done
	if u.tmp != "" {
		os.RemoveAll(u.tmp)
	}
}

// extract unpacks directories and regular files whose names lie below prefix, into
// the directory target and never out of it.
func extract(r io.Reader, target, prefix string) error {
	root, err := os.OpenRoot(target)
	if err != nil {
		return err
	}
	defer root.Close()
	in := tar.NewReader(r)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			_, err = io.Copy(io.Discard, r) // the padding behind the end
			return err
		}
		if err != nil {
			return err
		}
		name, ok := strings.CutPrefix(h.Name, strings.TrimSuffix(prefix, "/")+"/")
		if !ok || !filepath.IsLocal(name) {
			return fmt.Errorf("%q lies not below %s", h.Name, prefix)
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(name, 0o755)
		case tar.TypeReg:
			err = extractFile(root, name, h.FileInfo().Mode().Perm(), in)
		}
		if err != nil {
			return err
		}
	}
}

func extractFile(root *os.Root, name string, perm fs.FileMode, r io.Reader) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, perm)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
