// Mutants shows that the tests bite: it puts seeded one-line faults into the stack, one
// at a time, and runs the tests until one fails. The tree is never touched: each fault
// is an overlay for the go command.
//
//	go run ./mptcp/internal/mutants [-n 2] [-only TEXT] LIST...
//
// The exit status is 1 if more than one in twenty survives, or if a fault no longer
// applies, or does not compile.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// packages with tests, the likeliest to catch something first.
var packages = []string{"./mptcp/tcp", "./mptcp/drill", "./mptcp", "./mptcp/window", "./mptcp/socket", "./mptcp/cc",
	"./mptcp/sched", "./mptcp/pm", "./mptcp/wire", "./mptcp/sim", "./mptcp/host"}

// verdict is what became of a mutant.
type verdict struct {
	by    string // the test that failed; "": it survived
	took  time.Duration
	wrong error // it could not be tried
}

func main() {
	n := flag.Int("n", 2, "how many to try at the same time")
	only := flag.String("only", "", "try those whose name has this text")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "mutants: which LIST?")
		os.Exit(2)
	}
	failed := false
	for _, path := range flag.Args() {
		ok, err := try(path, *n, *only)
		if err != nil {
			fmt.Fprintln(os.Stderr, "mutants:", err)
			os.Exit(2)
		}
		failed = failed || !ok
	}
	if failed {
		os.Exit(1)
	}
}

// try runs one list and prints its table.
func try(path string, n int, only string) (ok bool, err error) {
	all, err := readList(path)
	if err != nil {
		return false, err
	}
	var list []mutant
	for _, m := range all {
		if strings.Contains(m.name, only) {
			list = append(list, m)
		}
	}
	if len(list) == 0 {
		return false, fmt.Errorf("%s: no mutant's name has %q", path, only)
	}
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	verdicts := make([]verdict, len(list))
	var wg sync.WaitGroup
	slots := make(chan struct{}, max(n, 1))
	for i := range list {
		slots <- struct{}{}
		wg.Go(func() {
			verdicts[i] = list[i].try(filepath.Join(dir, fmt.Sprint(i)))
			<-slots
			fmt.Fprintf(os.Stderr, "%3d of %d: %s\n", i+1, len(list), list[i].name)
		})
	}
	wg.Wait()
	return report(path, list, verdicts), nil
}

// report prints the table; ok: enough were caught.
func report(path string, list []mutant, verdicts []verdict) (ok bool) {
	fmt.Printf("%s\n", path)
	caught, wrong := 0, 0
	for i, m := range list {
		v := verdicts[i]
		what := v.by
		switch {
		case v.wrong != nil:
			wrong++
			what = "ERROR: " + v.wrong.Error()
		case v.by == "":
			what = "SURVIVED"
		default:
			caught++
		}
		fmt.Printf("%4d  %-52s %5.1f s  %s\n", m.line, m.name, v.took.Seconds(), what)
	}
	fmt.Printf("%d of %d caught\n", caught, len(list))
	return wrong == 0 && caught*20 >= len(list)*19
}

// try puts the fault in and runs the tests, package by package, up to a failure.
func (m *mutant) try(dir string) (v verdict) {
	began := time.Now()
	defer func() { v.took = time.Since(began) }()
	overlay, err := m.overlay(dir)
	if err != nil {
		return verdict{wrong: err}
	}
	build := exec.Command("go", "build", "-overlay", overlay, "./mptcp/...")
	if out, err := build.CombinedOutput(); err != nil {
		return verdict{wrong: fmt.Errorf("it does not compile: %s", out)}
	}
	for _, p := range packages {
		if by, err := runTests(overlay, p); err != nil || by != "" {
			return verdict{by: by, wrong: err}
		}
	}
	return verdict{}
}

// overlay writes the mutated file and what tells the go command of it.
func (m *mutant) overlay(dir string) (string, error) {
	src, err := m.apply(".")
	if err != nil {
		return "", err
	}
	root, err := os.Getwd()
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "mutant.go")
	over, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, m.file): file}})
	if err != nil {
		return "", err
	}
	at := filepath.Join(dir, "overlay.json")
	return at, errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(file, []byte(src), 0o644), os.WriteFile(at, over, 0o644))
}

var failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// runTests runs the tests of a package; by names the first that failed, "" if none
// did.
func runTests(overlay, pkg string) (by string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", "test", "-overlay", overlay, "-vet=off", "-short", "-failfast", "-timeout", "2m", pkg).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "", nil
	case ctx.Err() != nil:
		return pkg + ": hangs", nil
	case !errors.As(err, &exit):
		return "", err
	case strings.Contains(string(out), "[build failed]"):
		return "", fmt.Errorf("the tests do not compile: %s", out)
	}
	what := "panics or hangs"
	if all := failedTest.FindAllStringSubmatch(string(out), -1); len(all) > 0 {
		what = all[len(all)-1][1] // the innermost
	}
	return pkg + ": " + what, nil
}
