package main

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// asCommand makes the test binary mptcplab itself: where a test needs a process of
// its own, for signals and namespaces.
const asCommand = "MPTCPLAB_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// process is mptcplab as a process of its own.
func process(ctx context.Context, args ...string) *exec.Cmd {
	self, err := os.Executable() // os.Args[0] may be relative to a folder we left
	if err != nil {
		panic(err)
	}
	c := exec.CommandContext(ctx, self, args...)
	c.Env = append(os.Environ(), asCommand+"=1")
	return c
}

// twoPaths is a scenario that takes about a second of virtual time in each of its
// pairings; the third needs the kernel.
const twoPaths = `name: two-paths
seed: 3
topology:
  hosts: {phone, server}
  routers: {net}
  links:
    wifi: {ends: [phone, net], rate: 20mbit, delay: 5ms}
    lte:  {ends: [phone, net], rate: 10mbit, delay: 10ms}
    lan:  {ends: [net, server], rate: 1gbit}
pairings:
  ours:  {phone: mptcp, server: mptcp}
  plain: {phone: tcp, server: tcp}
  linux: {phone: mptcp, server: {netns: kernel-mptcp}}
workloads:
  get: {type: bulk, client: phone.wifi, server: server, download: 1MB}
timeline:
  - {at: 100ms, name: lost, link: wifi, blackhole: true}
  - {at: 600ms, name: back, link: wifi, blackhole: false}
expect:
  - flow.get.bytes == 1MB
`

// edited returns twoPaths with pairs of old and new text replaced, each of which
// must be there.
func edited(t *testing.T, pairs ...string) string {
	t.Helper()
	s := twoPaths
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(s, pairs[i]) {
			t.Fatalf("no %q in the scenario", pairs[i])
		}
		s = strings.Replace(s, pairs[i], pairs[i+1], 1)
	}
	return s
}

// inFolder makes a new folder with the scenario s.yaml the current one.
func inFolder(t *testing.T, scenario string) {
	t.Helper()
	t.Chdir(t.TempDir())
	put(t, "s.yaml", scenario)
}

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// call runs a command line in this process.
func call(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(args, &out, &errs)
	return status, out.String(), errs.String()
}

// must calls a command line and wants its status.
func must(t *testing.T, status int, args ...string) (stdout, stderr string) {
	t.Helper()
	got, stdout, stderr := call(args...)
	if got != status {
		t.Fatalf("mptcplab %s: status %d, want %d\n%s%s", strings.Join(args, " "), got, status, stdout, stderr)
	}
	return stdout, stderr
}

// tree returns the files below a folder with what they hold.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		files[name] = get(t, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// sameTrees compares two folders file by file.
func sameTrees(t *testing.T, a, b map[string]string) {
	t.Helper()
	for name, content := range a {
		if other, ok := b[name]; !ok {
			t.Errorf("%s is missing", name)
		} else if other != content {
			t.Errorf("%s differs", name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			t.Errorf("%s is new", name)
		}
	}
}

// everyCommand calls f with each command that is ours: not cobra's.
func everyCommand(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, child := range c.Commands() {
		if child.Name() != "help" && child.Name() != "completion" {
			everyCommand(child, f)
		}
	}
}

func TestEveryCommandHasHelpWithAnExample(t *testing.T) {
	n := 0
	everyCommand(rootCommand(), func(c *cobra.Command) {
		n++
		path := strings.Fields(c.CommandPath())[1:]
		stdout, stderr := must(t, 0, append(path, "--help")...)
		if stderr != "" {
			t.Errorf("%v --help says %q on stderr", path, stderr)
		}
		if !strings.Contains(stdout, "Examples:\n  mptcplab "+strings.Join(path, " ")) {
			t.Errorf("%v --help has no example of it:\n%s", path, stdout)
		}
	})
	if n < 11 {
		t.Errorf("%d commands, want 11", n)
	}
}

// Examples must be right: their flags and arguments are taken.
func TestExamplesParse(t *testing.T) {
	everyCommand(rootCommand(), func(c *cobra.Command) {
		for line := range strings.SplitSeq(c.Example, "\n") {
			line, _, _ = strings.Cut(line, "#")
			line, _, _ = strings.Cut(line, "|")
			line, _, _ = strings.Cut(line, ">")
			words := strings.Fields(line)[1:]
			target, rest, err := rootCommand().Find(words)
			if err != nil {
				t.Errorf("%s: %v", line, err)
				continue
			}
			if err := target.ParseFlags(rest); err != nil {
				t.Errorf("%s: %v", line, err)
			}
			if err := target.ValidateArgs(target.Flags().Args()); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
	})
}

// Bad usage and bad input: status 2, a word on stderr that helps, nothing on
// stdout, and nothing written.
func TestBadUsage(t *testing.T) {
	for _, c := range []struct {
		name     string
		scenario string   // of s.yaml; "": twoPaths
		args     string   // separated by blanks; '' is an empty one
		want     []string // on stderr
	}{
		{"no command", "", "", []string{"Usage:", "mptcplab [command]"}},
		{"unknown command", "", "rnu s.yaml", []string{`mptcplab: unknown command "rnu"`, "did you mean run?"}},
		{"unknown command of a group", "", "topology paint s.yaml", []string{`unknown command "paint" for "mptcplab topology"`}},
		{"group alone", "", "vm", []string{"mptcplab vm [command]"}},
		{"unknown flag", "", "run --bogus s.yaml", []string{"mptcplab: unknown flag: --bogus", "mptcplab: see mptcplab run --help"}},
		{"no file", "", "run", []string{"accepts 1 arg(s)"}},
		{"two files", "", "run s.yaml s.yaml", []string{"accepts 1 arg(s)"}},
		{"missing file", "", "run absent.yaml", []string{"absent.yaml: cannot read: no such file or directory"}},
		{"file is a folder", "", "run .", []string{".: cannot read: is a directory"}},
		{"missing file among others", "", "validate absent.yaml", []string{"absent.yaml: cannot read"}},
		{"fabric", "", "run --fabric cloud s.yaml", []string{"--fabric cloud: allowed are virtual, netns"}},
		{"pcap", "", "run --pcap some s.yaml", []string{"--pcap some: allowed are all, headers, none"}},
		{"empty pcap", "", "run --pcap= s.yaml", []string{"--pcap : allowed are"}},
		{"impair in virtual time", "", "run --impair netem s.yaml", []string{"--impair is for --fabric netns"}},
		{"jobs in real time", "", "run --fabric netns --jobs 2 s.yaml", []string{"--jobs is for the virtual fabric"}},
		{"all at once", "", "run --jobs 0 --repeat 0 --out= s.yaml", []string{"--jobs 0", "--repeat 0", "--out: a directory"}},
		{"negative seed", "", "run --seed -1 s.yaml", []string{`invalid argument "-1" for "--seed"`}},
		{"no such pairing", "", "run --only pairing=theirs s.yaml", []string{`--only pairing=theirs: pairing has no "theirs"; allowed: ours plain linux`}},
		{"no such axis", "", "run --only mode=full s.yaml", []string{"--only mode=full"}},
		{"nothing left to run", "", "run --only pairing=linux s.yaml", []string{"nothing to run with --fabric virtual", "skipped linux: "}},
		{"set nothing", "", "run --set topology.links.wifi.delay s.yaml", []string{"--set topology.links.wifi.delay: wanted is path.to.key=value"}},
		{"set an unknown path", "", "run --set topology.links.dsl.delay=3ms s.yaml", []string{"--set topology.links.dsl.delay=3ms", "dsl"}},
		{"set a bad value", "", "run --set topology.links.wifi.delay=3 s.yaml", []string{"--set topology.links.wifi.delay=3", "unit"}},
		{"foreign directory", "", "run --out foreign s.yaml", []string{"result directory: foreign is not empty and holds no mptcplab result"}},
		{"directory is a file", "", "run --out s.yaml s.yaml", []string{"result directory: ", "not a directory"}},
		{"directory below a file", "", "run --out s.yaml/out s.yaml", []string{"result directory: ", "not a directory"}},
		{"plot nothing", "", "plot absent", []string{"absent is no result directory"}},
		{"plot something else", "", "plot foreign absent", []string{"foreign is no result directory", "absent is no result directory"}},
		{"resolved of two", "", "validate --resolved s.yaml s.yaml", []string{"--resolved prints one file"}},
		{"format", "", "topology show --format svg s.yaml", []string{"--format svg: allowed are text and dot"}},
		{"vm without arguments", "", "vm run", []string{"requires at least 1 arg(s)"}},
		{"vm kernel", "", "vm run --kernel 5.4 -- doctor", []string{"--kernel 5.4: allowed are"}},
		{"no YAML", "topology: {hosts: [phone\n", "run s.yaml", []string{"s.yaml:1:", "not YAML"}},
		{"empty file", "\n", "run s.yaml", []string{"s.yaml: "}},
		{"a list", "- a\n", "run s.yaml", []string{"s.yaml:1:1: a scenario is a map of keys"}},
		{"every mistake", edited(t, "rate: 20mbit", "rate: 20mbps", "delay: 10ms", "dealy: 10ms", "download: 1MB", "download: 1"), "run s.yaml",
			[]string{"s.yaml:7:38: ", "write mbit", "s.yaml:8:", `"dealy"`, `"delay"`, "s.yaml:15:"}},
		{"kernel stack outright", edited(t, "plain: {phone: tcp, server: tcp}", "plain: {phone: kernel-tcp, server: tcp}"), "run s.yaml",
			[]string{"s.yaml:12:", "kernel-tcp"}},
		{"link to a missing host", edited(t, "ends: [net, server]", "ends: [net, serve]"), "run s.yaml", []string{"s.yaml:9:", `"serve"`, `"server"`}},
		{"negative delay", edited(t, "delay: 5ms", "delay: -5ms"), "run s.yaml", []string{"s.yaml:7:53: ", "negative"}},
		{"too many percent", edited(t, "delay: 5ms", "loss: 101%"), "run s.yaml", []string{"s.yaml:7:52: ", "outside 0%..100%"}},
		{"two hosts of one address", edited(t, "delay: 5ms", "addresses: [10.0.9.1/24, 10.0.9.2/24]", "delay: 10ms", "addresses: [10.0.8.1/24, 10.0.9.2/24]"), "run s.yaml",
			[]string{"s.yaml:8:", "10.0.9.2"}},
		{"unreachable server", edited(t, "ends: [net, server]", "ends: [net, other]", "{phone, server}", "{phone, server, other}"), "run s.yaml",
			[]string{"s.yaml:15:", "server"}},
		{"bad expectation", edited(t, "flow.get.bytes == 1MB", "flow.get.bytes == 1s"), "run s.yaml", []string{"s.yaml:20:", "size", "time"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			scenario := c.scenario
			if scenario == "" {
				scenario = twoPaths
			}
			inFolder(t, scenario)
			if err := os.Mkdir("foreign", 0o755); err != nil {
				t.Fatal(err)
			}
			put(t, "foreign/thesis.tex", "years of work")
			before := tree(t, ".")
			stdout, stderr := must(t, exitUsage, strings.Fields(c.args)...)
			if stdout != "" {
				t.Errorf("stdout: %s", stdout)
			}
			for _, want := range c.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("no %q in\n%s", want, stderr)
				}
			}
			sameTrees(t, before, tree(t, "."))
			if _, err := os.Stat("results"); err == nil {
				t.Error("a folder results was made")
			}
		})
	}
}

func TestVersion(t *testing.T) {
	stdout, _ := must(t, 0, "version")
	if !regexp.MustCompile(`^mptcplab \d+\.\d+\.\d+\S* go1\.\d+\S* linux/\w+\n$`).MatchString(stdout) {
		t.Errorf("%q", stdout)
	}
}
