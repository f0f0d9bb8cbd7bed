package result

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"mptcplab/mptcp"
	"mptcplab/mptcp/clock"
	"mptcplab/mptcp/trace"
)

func example() *Result {
	rto := 330.5
	return &Result{
		SchemaVersion: SchemaVersion, Name: "handover", Seed: 7, Fabric: "virtual", Impair: "virtual", Version: "dev",
		Skipped: []Skipped{{"mptcp-linux", "no kernel stack in virtual time"}},
		Runs: []Run{
			{ID: "a/seed=7", Pairing: "a", Seed: 7, Stacks: map[string]string{"phone": "mptcp"},
				CongestionControl: map[string]string{"phone": "cubic"}, Counters: map[string]map[string]uint64{},
				Flows:    []Flow{{Name: "get", Bytes: 5, Paths: []Path{{Name: "wifi", Share: 0.1}}, Subflows: []Subflow{}}},
				Handover: []Handover{{Event: "lost", GapMS: 412.25, RTOMS: &rto}},
				Events:   []Event{{Name: "lost", Text: "wifi: blackhole", At: 5, Actual: 5, Happened: true}},
				Links:    []Link{}, Expect: []Expect{{That: "a < b", Pass: true}}},
			{ID: "b/seed=7", Stacks: map[string]string{}, CongestionControl: map[string]string{}, Counters: map[string]map[string]uint64{},
				Flows: []Flow{}, Handover: []Handover{}, Events: []Event{}, Links: []Link{}, Expect: []Expect{}},
		},
		Pass: true,
	}
}

// write makes a whole directory; runs finish in another order than they are listed.
func write(t *testing.T, path string, order []int) {
	t.Helper()
	d, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	r := example()
	if r.ScenarioHash, err = d.Scenario([]byte("name: handover\n"), nil); err != nil {
		t.Fatal(err)
	}
	for _, i := range order {
		w, err := d.Run(r.Runs[i].ID, CaptureHeaders, []string{"phone.wifi", "server.lan"})
		if err != nil {
			t.Fatal(err)
		}
		w.Series.Sample(Sample{Run: r.Runs[i].ID, Flow: "get", Path: "wifi", Host: "phone", Direction: "down",
			Metric: MetricReceived, Unit: "bytes", Time: 0.1, Value: 1e6 / 3})
		w.Events.Tracer("phone").Trace(trace.Event{At: 5, Kind: trace.RTOExpired, Conn: 1, Path: 0, A: 330500000})
		w.Events.Timeline(Event{Name: "lost", Text: `wifi: "blackhole"`, At: 5, Actual: 5, Happened: true})
		w.Capture.Packet(clock.Instant(5e9), "phone.wifi", true, []byte("\x45packet"))
		w.Sockets.Dump(5e9, "phone", "lost", []mptcp.SockDiag{{State: "ESTAB", SendQ: 4, MPTCP: &mptcp.MPTCPInfo{Token: 7}}})
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Finish(r); err != nil {
		t.Fatal(err)
	}
}

// Sockets come back as they were written.
func TestSocketsRoundTrip(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	write(t, dir, []int{0, 1})
	n := 0
	err := ReadSockets(dir, "a/seed=7", func(d Dump) error {
		n++
		if d.At != 5 || d.Host != "phone" || d.Event != "lost" || len(d.Sockets) != 1 || d.Sockets[0].SendQ != 4 || d.Sockets[0].MPTCP.Token != 7 {
			t.Errorf("%+v", d)
		}
		return nil
	})
	if n != 1 || err != nil {
		t.Errorf("%d lines, %v", n, err)
	}
}

func TestDirectoryRoundTripAndBytes(t *testing.T) {
	a, b := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	write(t, a, []int{0, 1})
	write(t, b, []int{1, 0})
	write(t, b, []int{1, 0}) // replaced
	got := files(t, a)
	if !reflect.DeepEqual(got, files(t, b)) {
		t.Error("two directories of equal content differ")
	}
	want := []string{"result.json", "runs/a/seed=7/events.ndjson", "runs/a/seed=7/packets.pcapng", "runs/a/seed=7/sockets.ndjson",
		"runs/b/seed=7/events.ndjson", "runs/b/seed=7/packets.pcapng", "runs/b/seed=7/sockets.ndjson", "scenario.yaml", "series.csv"}
	if len(got) != len(want) {
		t.Errorf("%d files, want %v", len(got), want)
	}
	for _, name := range want {
		if got[name] == "" {
			t.Errorf("no %s", name)
		}
	}
	if s := got["series.csv"]; s != seriesHeader+
		"a/seed=7,get,wifi,phone,down,received,bytes,0.1,333333.3333333333\n"+
		"b/seed=7,get,wifi,phone,down,received,bytes,0.1,333333.3333333333\n" {
		t.Error(s)
	}
	if s := got["runs/a/seed=7/events.ndjson"]; s != `{"t":0.000000005,"host":"phone","kind":"rto","conn":1,"path":0,"rto_ms":330.500000,"backoff":0,"srtt_ms":0.000000}`+"\n"+
		`{"t":5.000000000,"kind":"timeline","name":"lost","text":"wifi: \"blackhole\"","at_s":5,"happened":true}`+"\n" {
		t.Error(s)
	}
	r, err := Open(a)
	if err != nil {
		t.Fatal(err)
	}
	e := example()
	e.ScenarioHash = r.ScenarioHash
	if !reflect.DeepEqual(r, e) {
		t.Errorf("read back:\n%+v\nwant\n%+v", r, e)
	}
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	m := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		m[filepath.ToSlash(rel)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCreateRefusesWhatIsNotOurs(t *testing.T) {
	dir := t.TempDir()
	if _, err := Create(dir); err != nil { // empty
		t.Fatal(err)
	}
	if _, err := Create(dir); err != nil { // unfinished
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "not finished") {
		t.Error(err)
	}
	for name, content := range map[string]string{
		"thesis.tex": "", "result.json": `{"score": 3}`,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Create(dir); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %v", name, err)
		}
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != content {
			t.Errorf("%s was touched", name)
		}
	}
}

// What a user put beside the results stays.
func TestCreateKeepsOtherFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, []int{0, 1})
	note := filepath.Join(dir, "notes.md")
	if err := os.WriteFile(note, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(note); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, RunsDir)); !errors.Is(err, os.ErrNotExist) {
		t.Error("old runs are still there")
	}
}

func TestRunDirStaysInside(t *testing.T) {
	for _, id := range []string{"", "/a", "a//b", "../x", "a/..", "a/./b", "a\x00"} {
		if p, err := RunDir("d", id); err == nil {
			t.Errorf("%q gives %s", id, p)
		}
	}
	if p, err := RunDir("d", "m/mode=full,event=a b/seed=7"); err != nil || p != filepath.Join("d", "runs", "m", "mode=full,event=a b", "seed=7") {
		t.Error(p, err)
	}
}
