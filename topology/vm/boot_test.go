package vm

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// guestProgram builds the static program in testdata/guest. It skips, loudly, unless
// MPTCPLAB_VM is "required": booting takes a while and wants QEMU and a kernel package.
func guestProgram(t *testing.T) string {
	t.Helper()
	if os.Getenv("MPTCPLAB_VM") != "required" {
		t.Skip("NOT TESTED: boots virtual machines only with MPTCPLAB_VM=required (make test-vm)")
	}
	path := filepath.Join(t.TempDir(), "guest")
	cmd := exec.Command("go", "build", "-o", path, "./testdata/guest")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// runGuest runs a machine and returns what came of it.
func runGuest(t *testing.T, o Options) (exit int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	o.Stdout, o.Stderr = &out, &errs
	o.Booted = func(took time.Duration, release, accel string) {
		t.Logf("%s under %s: at the program after %v", release, accel, took.Round(time.Millisecond))
	}
	exit, err := Run(t.Context(), o)
	if err != nil {
		t.Fatalf("Run: %v\nstdout: %s\nstderr: %s", err, &out, &errs)
	}
	return exit, out.String(), errs.String()
}

func TestExitStatusAndOutput(t *testing.T) {
	program := guestProgram(t)
	for _, kernel := range []string{"6.12", "6.1"} {
		t.Run(kernel, func(t *testing.T) {
			exit, out, errs := runGuest(t, Options{Kernel: kernel, Init: program, Program: program, Args: []string{"exit", "7"}, Dir: t.TempDir()})
			if exit != 7 || out != "to stdout\n" || errs != "to stderr\n" {
				t.Errorf("exit %d, stdout %q, stderr %q", exit, out, errs)
			}
		})
	}
}

func TestFilesGoInAndComeBack(t *testing.T) {
	program := guestProgram(t)
	dir := t.TempDir()
	want := bytes.Repeat([]byte("0123456789abcdef"), 100_000) // more than one frame
	if err := os.WriteFile(filepath.Join(dir, "in"), want, 0o644); err != nil {
		t.Fatal(err)
	}
	// An older result, which is replaced as a whole.
	if err := os.MkdirAll(filepath.Join(dir, "out", "old"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "out", marker), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"copy", "in", "out"}
	exit, _, errs := runGuest(t, Options{Init: program, Program: program, Args: args, Files: []string{"in"}, Dir: dir, Out: "out"})
	if exit != 0 {
		t.Fatalf("exit %d: %s", exit, errs)
	}
	got, err := os.ReadFile(filepath.Join(dir, "out", "sub", "copy"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes came back, not the %d that went in", len(got), len(want))
	}
	if _, err := os.Stat(filepath.Join(dir, "out", "old")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old result is still there: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 {
		t.Errorf("besides in and out there is more: %v", entries)
	}
}

func TestKilledProgram(t *testing.T) {
	program := guestProgram(t)
	if exit, _, _ := runGuest(t, Options{Init: program, Program: program, Args: []string{"kill"}, Dir: t.TempDir()}); exit != 128+15 {
		t.Errorf("exit %d, want 143", exit)
	}
}

func TestCancelEndsTheMachine(t *testing.T) {
	program := guestProgram(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := Options{Init: program, Program: program, Args: []string{"hang"}, Dir: t.TempDir(), Stdout: writerFunc(func([]byte) { cancel() })}
	if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v, want context.Canceled", err)
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

func TestGuestHasModulesAndMPTCP(t *testing.T) {
	program := guestProgram(t)
	exit, out, _ := runGuest(t, Options{Init: program, Program: program, Args: []string{"cat", "/proc/sys/net/mptcp/enabled", "/proc/modules"}, Dir: t.TempDir()})
	if exit != 0 || !strings.Contains(out, "enabled:\n1\n") || !strings.Contains(out, "sch_netem") {
		t.Errorf("exit %d, output %q", exit, out)
	}
}
