package main

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mptcplab/scenarios/result"
)

// results reads result.json of a directory.
func results(t *testing.T, dir string) *result.Result {
	t.Helper()
	r, err := result.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ids(r *result.Result) string {
	var list []string
	for _, run := range r.Runs {
		list = append(list, run.ID)
	}
	return strings.Join(list, " ")
}

// The plain call: a directory named after scenario, fabric and seed, the table and
// the paths on stdout, progress on stderr, status 0.
func TestRun(t *testing.T) {
	inFolder(t, twoPaths)
	stdout, stderr := must(t, 0, "run", "s.yaml")
	const out = "results/two-paths-virtual-seed3"
	if r := results(t, out); ids(r) != "ours/seed=3 plain/seed=3" || !r.Pass || len(r.Skipped) != 1 {
		t.Errorf("runs %s, pass %v, skipped %v", ids(r), r.Pass, r.Skipped)
	}
	for _, want := range []string{"pairing ", "handover gap and cause", "lost ", "\nskipped  linux: ", "expectations: ", " held, 0 failed", "\n  ok  ours ",
		"\nwritten: " + out + "/result.json\n", out + "/scenario.yaml\n", out + "/series.csv\n", out + "/runs\n", out + "/plots ("} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	if strings.Contains(stdout, "\n\n\n") || strings.Contains(stdout, "\x1b") {
		t.Errorf("empty lines, or escapes off the terminal, in\n%q", stdout)
	}
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "[1/2] ours/seed=3  ") || !strings.HasPrefix(lines[1], "[2/2] plain/seed=3  ") || !strings.Contains(lines[1], ", done  ") {
		t.Errorf("progress: %q", stderr)
	}
	// Every path that is named exists, and every file is below one that is.
	for name := range tree(t, out) {
		if strings.HasSuffix(name, ".tmp") || strings.HasSuffix(name, ".part") || strings.HasPrefix(name, ".") {
			t.Errorf("%s was left", name)
		}
	}
}

// An expectation that fails: status 1, and the table says which and what was
// measured.
func TestFailedExpectation(t *testing.T) {
	inFolder(t, edited(t, "flow.get.bytes == 1MB", "flow.get.bytes == 2MB"))
	stdout, _ := must(t, exitFailed, "run", "s.yaml", "--no-plots")
	if !strings.Contains(stdout, "  FAIL  ours   flow.get.bytes == 2MB ") || !strings.Contains(stdout, "measured 1MB") {
		t.Error(stdout)
	}
	if results(t, "results/two-paths-virtual-seed3").Pass {
		t.Error("pass in result.json")
	}
}

// A run that breaks, here on a capture that grows beyond what the process may
// write: status 4, what was measured is written, and the other runs are carried out.
func TestBrokenRun(t *testing.T) {
	inFolder(t, edited(t, "pairings:", "params: {size: 0B}\nsweep: {size: [20MB, 100kB]}\npairings:", "download: 1MB", "download: $size", "bytes == 1MB", "bytes == $size"))
	c := process(t.Context(), "run", "s.yaml", "--only", "pairing=ours", "--no-plots", "--out", "out")
	c.Args = append([]string{"sh", "-c", `ulimit -f 2000 && exec "$@"`, "sh", c.Path}, c.Args[1:]...) // blocks of 512 or 1024 bytes
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	c.Path = sh
	var stdout, stderr strings.Builder
	c.Stdout, c.Stderr = &stdout, &stderr
	_ = c.Run() // its status is what is looked at
	if got := c.ProcessState.ExitCode(); got != exitBroke {
		t.Fatalf("status %d, want 4\n%s%s", got, &stdout, &stderr)
	}
	r := results(t, "out")
	if ids(r) != "ours/size=20MB/seed=3 ours/size=100kB/seed=3" || r.Pass {
		t.Fatalf("runs %s, pass %v", ids(r), r.Pass)
	}
	broken, whole := r.Runs[0], r.Runs[1]
	if !strings.Contains(broken.Error, "file too large") || len(broken.Flows) != 1 || broken.Flows[0].Bytes != 20e6 {
		t.Errorf("the broken run: %+v", broken)
	}
	if whole.Error != "" || !whole.Flows[0].Intact {
		t.Errorf("the other: %+v", whole)
	}
	for _, text := range []string{stdout.String(), stderr.String()} {
		if !strings.Contains(text, "ours/size=20MB/seed=3") || !strings.Contains(text, "file too large") {
			t.Errorf("it is not said what broke: %s", text)
		}
	}
}

// netem asked of a kernel that has none, or namespaces of one that forbids them:
// status 3, and nothing is written.
func TestEnvironment(t *testing.T) {
	found, err := process(t.Context(), "doctor").Output()
	if err != nil {
		t.Fatal(err)
	}
	if regexp.MustCompile(`(?m)^netem +yes`).Match(found) {
		t.Skip("SKIPPED: this kernel has netem")
	}
	inFolder(t, twoPaths)
	before := tree(t, ".")
	var out, errs strings.Builder
	c := process(t.Context(), "run", "s.yaml", "--fabric", "netns", "--impair", "netem", "--only", "pairing=ours")
	c.Stdout, c.Stderr = &out, &errs
	_ = c.Run() // its status is what is looked at
	if got := c.ProcessState.ExitCode(); got != exitEnvironment || out.Len() > 0 || !strings.Contains(errs.String(), "this machine cannot do it") &&
		!strings.Contains(errs.String(), "network namespaces: ") {
		t.Errorf("status %d, want 3; stdout %q, stderr %q", got, out.String(), errs.String())
	}
	sameTrees(t, before, tree(t, "."))
}

// --json: stdout is result.json, byte for byte; --quiet: nothing on stderr.
func TestJSON(t *testing.T) {
	// An expectation with a < shows whether it is escaped differently.
	inFolder(t, edited(t, "flow.get.bytes == 1MB", "handover.lost.gap < 5s"))
	stdout, stderr := must(t, 0, "run", "s.yaml", "--json", "--quiet", "--only", "pairing=ours", "--out", "out", "--no-plots")
	if stderr != "" {
		t.Errorf("--quiet says %q", stderr)
	}
	if !json.Valid([]byte(stdout)) || stdout != get(t, "out/result.json") {
		t.Errorf("--json is not result.json:\n%s", stdout)
	}
	if _, err := os.Stat("out/plots"); err == nil {
		t.Error("plots in spite of --no-plots")
	}
	quiet, stderr := must(t, 0, "run", "s.yaml", "--quiet", "--only", "pairing=ours", "--out", "out", "--no-plots")
	if stderr != "" || !strings.Contains(quiet, "pairing ") {
		t.Errorf("--quiet prints the table and no progress: %q %q", quiet, stderr)
	}
}

// capture reads the snap length of a pcapng's interfaces, and the greatest
// captured and original length of a packet.
func capture(t *testing.T, name string) (snap, captured, original uint32) {
	t.Helper()
	b := []byte(get(t, name))
	word := binary.LittleEndian.Uint32
	for len(b) >= 12 {
		n := word(b[4:])
		if n < 12 || int(n) > len(b) {
			t.Fatalf("%s: a block of %d octets", name, n)
		}
		switch word(b) { // https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html#section-4
		case 1: // Interface Description Block: type, length, link type, reserved, snap length
			snap = max(snap, word(b[12:]))
		case 6: // Enhanced Packet Block: type, length, interface, time, time, captured, original
			captured, original = max(captured, word(b[20:])), max(original, word(b[24:]))
		}
		b = b[n:]
	}
	return snap, captured, original
}

func TestPcap(t *testing.T) {
	const file = "out/runs/ours/seed=3/packets.pcapng"
	// Our stack keeps room for a 64-bit DATA_ACK in every segment; the 32-bit one
	// that it sends to a peer without data leaves four octets of the MTU free.
	const full = 1500 - 4
	for _, c := range []struct {
		arg        string
		snap, most uint32
	}{
		{"", 128, 128},
		{"--pcap=headers", 128, 128},
		{"--pcap=all", 262144, full},
	} {
		inFolder(t, twoPaths)
		args := []string{"run", "s.yaml", "--only", "pairing=ours", "--no-plots", "--out", "out"}
		if c.arg != "" {
			args = append(args, c.arg)
		}
		must(t, 0, args...)
		if snap, captured, original := capture(t, file); snap != c.snap || captured != c.most || original != full {
			t.Errorf("%q: snap length %d, longest %d of %d; want %d, %d of %d", c.arg, snap, captured, original, c.snap, c.most, full)
		}
	}
	inFolder(t, twoPaths)
	must(t, 0, "run", "s.yaml", "--only", "pairing=ours", "--out", "out", "--pcap", "none") // with plots: they do without
	if _, err := os.Stat(file); err == nil {
		t.Error("a capture in spite of --pcap none")
	}
	if _, err := os.Stat("out/plots/ours/seed=3/handover.svg"); err != nil {
		t.Error(err)
	}
}

// --seed, --repeat, --set and --only choose the runs; the default directory has
// the seed that was given.
func TestSelection(t *testing.T) {
	inFolder(t, twoPaths)
	must(t, 0, "run", "s.yaml", "--no-plots", "--pcap", "none", "--seed", "40", "--repeat", "2", "--only", "pairing=ours,plain",
		"--set", "workloads.get.download=300kB", "--set", "expect=[flow.get.bytes == 300kB]")
	r := results(t, "results/two-paths-virtual-seed40")
	if ids(r) != "ours/seed=40 ours/seed=41 plain/seed=40 plain/seed=41" {
		t.Error(ids(r))
	}
	for _, run := range r.Runs {
		if run.Flows[0].DownloadBytes != 300_000 {
			t.Errorf("%s: %d bytes", run.ID, run.Flows[0].DownloadBytes)
		}
	}
	must(t, 0, "run", "s.yaml", "--no-plots", "--only", "pairing=plain", "--out", "one")
	if r := results(t, "one"); ids(r) != "plain/seed=3" {
		t.Error(ids(r))
	}
}

// Runs at once give the same files as one after the other.
func TestJobs(t *testing.T) {
	inFolder(t, twoPaths)
	args := []string{"run", "s.yaml", "--no-plots", "--repeat", "3", "--set", "workloads.get.download=300kB", "--set", "expect=[]", "--out"}
	one, _ := must(t, 0, append(args, "one", "--jobs", "1")...)
	four, _ := must(t, 0, append(args, "four", "--jobs", "4")...)
	sameTrees(t, tree(t, "one"), tree(t, "four"))
	if strings.ReplaceAll(one, "one/", "four/") != four {
		t.Errorf("the tables differ:\n%s\n%s", one, four)
	}
}

// --strict minds what was skipped, and says so.
func TestStrict(t *testing.T) {
	inFolder(t, twoPaths)
	stdout, _ := must(t, exitFailed, "run", "s.yaml", "--no-plots", "--strict")
	if !strings.Contains(stdout, "--strict: ") {
		t.Errorf("why it failed is not said:\n%s", stdout)
	}
	stdout, _ = must(t, 0, "run", "s.yaml", "--no-plots", "--strict", "--only", "pairing=ours")
	if strings.Contains(stdout, "--strict") {
		t.Error(stdout)
	}
}

// A result directory of ours is replaced, an empty one filled.
func TestOutReplaced(t *testing.T) {
	inFolder(t, twoPaths)
	if err := os.MkdirAll("deep/out", 0o755); err != nil {
		t.Fatal(err)
	}
	args := []string{"run", "s.yaml", "--out", "deep/out"}
	must(t, 0, append(args, "--only", "pairing=plain")...)
	first := tree(t, "deep/out")
	must(t, 0, append(args, "--only", "pairing=ours", "--no-plots")...)
	names := slices.Sorted(maps.Keys(tree(t, "deep/out")))
	want := []string{"result.json", "runs/ours/seed=3/events.ndjson", "runs/ours/seed=3/packets.pcapng", "runs/ours/seed=3/sockets.ndjson", "scenario.yaml", "series.csv"}
	if !slices.Equal(names, want) {
		t.Errorf("files %v, want %v", names, want)
	}
	must(t, 0, append(args, "--only", "pairing=plain")...)
	sameTrees(t, first, tree(t, "deep/out"))
}

// A folder without write permission is bad input, not a run that broke.
func TestOutUnwritable(t *testing.T) {
	inFolder(t, twoPaths)
	if err := os.Mkdir("locked", 0o555); err != nil {
		t.Fatal(err)
	}
	if f, err := os.Create("locked/probe"); err == nil {
		f.Close()
		t.Skip("SKIPPED: root writes where it likes")
	}
	_, stderr := must(t, exitUsage, "run", "s.yaml", "--out", filepath.Join("locked", "out"))
	if !strings.Contains(stderr, "permission denied") {
		t.Error(stderr)
	}
}

func TestFileName(t *testing.T) {
	for name, want := range map[string]string{"wifi-lte": "wifi-lte", "../etc": "-.-etc", "a b/c": "a-b-c", ".hidden": "-hidden", "v1.2_x": "v1.2_x"} {
		if got := fileName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
