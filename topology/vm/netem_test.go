package vm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The kernel tests of impairments/netem run where there is netem: here, under both
// kernels.
func TestNetemRoundTrip(t *testing.T) {
	program := guestProgram(t)
	test := filepath.Join(t.TempDir(), "netem.test")
	cmd := exec.Command("go", "test", "-c", "-o", test, "mptcplab/impairments/netem")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for _, kernel := range []string{"6.12", "6.1"} {
		t.Run(kernel, func(t *testing.T) {
			exit, out, errs := runGuest(t, Options{Kernel: kernel, Init: program, Program: test,
				Args: []string{"-test.v", "-test.run=^TestKernel"}, Dir: t.TempDir(), Env: []string{"MPTCPLAB_NETNS=required"}})
			t.Logf("%s%s", out, errs)
			if exit != 0 || strings.Contains(out, "SKIP") || !strings.Contains(out, "--- PASS: TestKernelRoundTrip") {
				t.Errorf("exit %d", exit)
			}
		})
	}
}
