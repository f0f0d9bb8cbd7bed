package doctor

import (
	"os"
	"strings"
	"testing"
)

func TestExamine(t *testing.T) {
	before, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		t.Fatal(err)
	}
	list := Examine()
	names := make(map[string]bool)
	for _, f := range list {
		if names[f.Name] {
			t.Errorf("%s is there twice", f.Name)
		}
		names[f.Name] = true
		if f.Detail == "" {
			t.Errorf("%s: no detail", f.Name)
		}
		if f.OK != (f.Instead == "") {
			t.Errorf("%s: OK %v, but instead %q", f.Name, f.OK, f.Instead)
		}
	}
	for _, want := range []string{"root", "user namespaces", "network namespaces", "veth", "AF_PACKET", "TUN", "netem", "tbf",
		"kernel MPTCP", "kernel's cubic", "qemu", "tshark"} {
		if !names[want] {
			t.Errorf("%s was not examined", want)
		}
	}
	after, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		t.Fatal(err)
	}
	if interfaces(before) != interfaces(after) {
		t.Errorf("interfaces before:\n%s\nafter:\n%s", before, after)
	}
	t.Logf("\n%s", Table(list))
}

// interfaces returns the names in /proc/net/dev.
func interfaces(dev []byte) string {
	var names []string
	for line := range strings.Lines(string(dev)) {
		name, _, _ := strings.Cut(line, ":")
		names = append(names, strings.TrimSpace(name))
	}
	return strings.Join(names[2:], " ")
}

// Without a namespace every finding is there all the same.
func TestUnexamined(t *testing.T) {
	var got []string
	for _, f := range unexamined(errUnprivileged) {
		if f.OK || f.Instead == "" {
			t.Errorf("%+v", f)
		}
		got = append(got, f.Name)
	}
	if names := strings.Join(got, " "); names != "veth AF_PACKET TUN netem tbf" {
		t.Errorf("findings %s", names)
	}
}

func TestTable(t *testing.T) {
	list := []Finding{{Name: "veth", OK: true, Detail: "works"}, {Name: "netem", Detail: "missing", Instead: "the relay"}}
	want := "veth   yes  works\nnetem  no   missing\n            -> the relay\n"
	if got := Table(list); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
