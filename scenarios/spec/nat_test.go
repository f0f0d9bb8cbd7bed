package spec

import (
	"strings"
	"testing"
)

const natFile = `
topology:
  hosts: {phone, server}
  routers: {home: {nat: dsl}, core: {}}
  links:
    wifi: {ends: [phone, home]}
    dsl:  {ends: [home, core]}
    lan:  {ends: [core, server]}
workloads:
  get: {type: bulk, client: phone.wifi, server: server, download: 1MB}
`

// Those outside have no route to what is inside; the resolved file says how long
// connections are remembered.
func TestNAT(t *testing.T) {
	f, err := Load(write(t, "nat.yaml", natFile), Options{})
	if err != nil {
		t.Fatal(err)
	}
	top := f.Runs[0].Topology
	inside := top.Node("phone").Interface("wifi").Prefixes
	for _, n := range []string{"core", "server"} {
		if top.Reaches(n, "", inside[0].Addr()) {
			t.Errorf("%s reaches the phone's %v", n, inside[0])
		}
		if !top.Reaches(n, "", inside[1].Addr()) {
			t.Errorf("%s does not reach the phone's %v, which is not translated", n, inside[1])
		}
	}
	server := f.Runs[0].Workloads[0].ServerAddr
	if seen := top.Seen("phone", "wifi", inside[0].Addr(), server); seen.String() != "10.0.2.1" {
		t.Errorf("the server sees %v", seen)
	}
	if !strings.Contains(string(f.Resolved()), "nat: {link: dsl, timeout: 120h}") {
		t.Errorf("resolved:\n%s", f.Resolved())
	}
}

func TestNATMistakes(t *testing.T) {
	for nat, want := range map[string]string{
		"nat: dls":                         `home has no interface "dls"; did you mean "dsl"?`,
		"nat: {timeout: 5s}":               `"link" is missing`,
		"nat: {link: dsl, timeout: 0}":     "more than 0s",
		"nat: {link: dsl, timeouts: 5min}": `unknown key "timeouts"`,
		"nat: [dsl]":                       "4:",
	} {
		_, err := Load(write(t, "nat.yaml", strings.Replace(natFile, "nat: dsl", nat, 1)), Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", nat, err, want)
		}
	}
	_, err := Load(write(t, "nat.yaml", strings.Replace(natFile, "topology:", "topology:\n  ip: [6]", 1)), Options{})
	if err == nil || !strings.Contains(err.Error(), "IPv6 is not translated") {
		t.Errorf("without IPv4: %v", err)
	}
}
