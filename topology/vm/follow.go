package vm

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// A guest is the host's view of a running machine.
type guest struct {
	o         *Options
	accel     string
	started   time.Time
	stopWatch func() // the guest's hello came in time
	release   string // of the guest's kernel, after its hello
}

// follow reads the channel to its last frame, passes on output, takes in results, and
// returns the exit status.
func (g *guest) follow(r io.Reader) (exit int, err error) {
	in := bufio.NewReaderSize(r, 2*maxFrame)
	buf := make([]byte, maxFrame)
	var results *unpacker
	defer func() {
		if results != nil {
			results.abort()
		}
	}()
	for {
		kind, p, err := receive(in, buf)
		switch {
		case errors.Is(err, io.EOF):
			return 0, errors.New("vm: the machine died before the program ended")
		case err != nil:
			return 0, fmt.Errorf("vm: channel: %w", err)
		}
		switch kind {
		case frameHello:
			g.hello(string(p))
		case frameStdout:
			err = pass(g.o.Stdout, p)
		case frameStderr:
			err = pass(g.o.Stderr, p)
		case frameTar:
			if results == nil {
				results, err = newUnpacker(g.o)
			}
			if err == nil {
				err = results.write(p)
			}
		case frameExit:
			exit, err := strconv.Atoi(string(p))
			if err == nil && results != nil {
				err = results.finish()
				results = nil
			}
			return exit, err
		default:
			err = fmt.Errorf("%w: kind %q", errFrame, kind)
		}
		if err != nil {
			return 0, err
		}
	}
}

func (g *guest) hello(text string) {
	g.stopWatch()
	g.release, _, _ = strings.Cut(text, " ")
	if g.o.Booted != nil {
		g.o.Booted(time.Since(g.started), g.release, g.accel)
	}
}

func pass(w io.Writer, p []byte) error {
	if w == nil {
		return nil
	}
	_, err := w.Write(p)
	return err
}
