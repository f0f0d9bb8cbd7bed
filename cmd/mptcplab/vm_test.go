package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"mptcplab/topology/vm"
)

// The guest's status is the command's; without a guest there is a reason.
func TestStatusOfVM(t *testing.T) {
	for _, c := range []struct {
		guest int
		err   error
		want  int
		says  bool
	}{
		{0, nil, 0, false},
		{1, nil, 1, false},
		{143, nil, 143, false},
		{0, fmt.Errorf("%w: qemu", vm.ErrMissing), exitEnvironment, true},
		{0, fmt.Errorf("%w: thesis", vm.ErrRefused), exitUsage, true},
		{0, context.Canceled, exitInterrupted, true},
		{0, errors.New("the machine stopped"), exitBroke, true},
	} {
		err := ended(c.guest, c.err)
		var e *exitError
		switch {
		case err == nil:
			if c.want != 0 {
				t.Errorf("%d, %v: no error, want status %d", c.guest, c.err, c.want)
			}
		case !errors.As(err, &e) || e.status != c.want || (e.err != nil) != c.says:
			t.Errorf("%d, %v: %v, want status %d", c.guest, c.err, err, c.want)
		}
	}
}

// A machine without qemu, or a program that cannot run in the guest: status 3 with
// what to do about it.
func TestVMMissing(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("PATH", t.TempDir())
	_, stderr := must(t, exitEnvironment, "vm", "run", "--", "doctor")
	if !strings.Contains(stderr, "mptcplab: missing for a virtual machine: ") || !strings.Contains(stderr, "CGO_ENABLED=0") && !strings.Contains(stderr, "apt-get install") {
		t.Error(stderr)
	}
}
