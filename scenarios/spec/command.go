package spec

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"mptcplab/mptcp/pm"
	"mptcplab/topology"
	"mptcplab/topology/decode"
)

// Command is one of the userspace path manager's (MPTCP_PM_CMD_*), for the connections
// that flows have at a host when it comes; or its listener.
type Command struct {
	Kind   string         // of CommandWords
	Flow   string         // a workload, or one flow of it; "": all of the host's
	Local  pm.Endpoint    // ID, Addr, Port, Flags, as far as Kind needs them
	Remote netip.AddrPort // no address, no port: the initial subflow's
	Close  bool           // of listener: it ends
}

// CommandWords are those of pm_nl_ctl and of mptcp_pm.yaml, with underscores.
var CommandWords = []string{"announce", "remove", "subflow_create", "subflow_destroy", "set_flags", "listener"}

var commandDocs = []string{
	"ADD_ADDR on the connection: dev or address, id",
	"REMOVE_ADDR on the connection: id; its subflows stay",
	"a subflow from dev or address with an id",
	"closes the subflow from dev or address",
	"flags: [backup] or [nobackup] of the subflow from dev or address: MP_PRIO",
	"a socket that listens on dev or address and port, as an announced port needs in Linux; close: true ends it",
}

// commandDraft is a command as the file says it.
type commandDraft struct {
	Command
	local  endpointDraft
	remote string // HOST.LINK or an address
	port   int    // remote
	at     Position
	path   string
}

func (c *commandDraft) keys(m *decode.Map) {
	c.at, c.path = m.At, m.Path
	e := &c.local
	e.at, e.path = m.At, m.Path
	id, port := 0, 0
	has := func(kinds ...string) bool { return slices.Contains(kinds, c.Kind) }
	if !has("listener") {
		decode.Get(m, "flow", endType, &c.Flow, "whose connection: a workload, or WORKLOAD.MEMBER; default: all that the host has then")
	}
	if !has("remove") {
		decode.Get(m, "dev", decode.NameType, &e.Dev, "the link whose address it is: the IPv4 one, or the only one")
		decode.Get(m, "address", decode.AddrType, &e.Addr, "the address itself")
		decode.Get(m, "family", ipType, &e.family, "4 or 6, with dev")
		decode.Get(m, "port", decode.IntType(1, 65535), &port, "of this host; default: none, any, or that of the subflow that is meant")
	}
	switch c.Kind {
	case "announce":
		decode.Get(m, "id", decode.IntType(1, 255), &id, "address id")
	case "remove", "subflow_create":
		decode.Get(m, "id", decode.IntType(0, 255), &id, "address id; 0 is that of the initial address")
	}
	if has("subflow_create") {
		e.backupKey(m, "backup")
	}
	if has("set_flags") {
		e.backupKey(m, "backup", "nobackup")
	}
	if has("subflow_create", "subflow_destroy", "set_flags") {
		decode.Get(m, "remote", remoteType, &c.remote, "the peer's end: HOST.LINK or an address; default: that of the initial subflow")
		decode.Get(m, "remote_port", decode.IntType(1, 65535), &c.port, "default: that of the initial subflow")
	}
	if has("listener") {
		decode.Get(m, "close", decode.BoolType, &c.Close, "the listener that was opened ends")
	}
	for _, need := range []struct {
		key string
		of  []string
	}{{"id", []string{"announce", "remove", "subflow_create"}}, {"flags", []string{"set_flags"}}, {"port", []string{"listener"}}} {
		if has(need.of...) {
			m.Require(need.key)
		}
	}
	e.ID, e.Port = uint8(id), uint16(port)
	if !m.Describing() && !has("remove") && e.Dev == "" && !e.Addr.IsValid() {
		m.Errorf("%s needs dev or address", c.Kind)
	}
}

// backupKey reads flags, of which commands know backup alone.
func (e *endpointDraft) backupKey(m *decode.Map, words ...string) {
	var flags []string
	decode.GetList(m, "flags", decode.EnumType(words), &flags, strings.Join(words, " "))
	for _, f := range flags {
		if e.Flags &^= pm.Backup; f == "backup" {
			e.Flags |= pm.Backup
		}
	}
}

var remoteType = decode.Type[string]{What: "HOST.LINK or an address", Schema: decode.OneOf(endType.Schema, decode.AddrType.Schema), Parse: func(s string) (string, error) {
	if _, err := netip.ParseAddr(s); err == nil {
		return s, nil
	}
	return endType.Parse(s)
}}

// commandKeys declares the commands of a host event.
func (e *eventDraft) commandKeys(m *decode.Map) {
	for i, word := range CommandWords {
		m.Object(word, commandDocs[i]+"; path_manager userspace", func(m *decode.Map) {
			c := &commandDraft{Command: Command{Kind: word}}
			c.keys(m)
			e.commands = append(e.commands, c)
		})
	}
}

// resolveCommands are the event's commands at one host.
func (e *eventDraft) resolveCommands(n *topology.Node, t *topology.Topology, hosts []Host, work []Workload, r *decode.Report) (list []Command) {
	k := slices.IndexFunc(hosts, func(h Host) bool { return h.Name == n.Name })
	for _, c := range e.commands {
		if out, ok := c.resolve(n, t, &hosts[k], work, r); ok {
			list = append(list, out)
		}
	}
	return list
}

// resolve works out what addresses and whose connections are meant.
func (c *commandDraft) resolve(n *topology.Node, t *topology.Topology, h *Host, work []Workload, r *decode.Report) (out Command, ok bool) {
	out, ok = c.Command, true
	wrong := func(format string, args ...any) {
		r.Errorf(c.at, c.path+": "+format, args...)
		ok = false
	}
	if !h.Stack.MPTCP() {
		wrong("%s runs %s; wanted is a host with an MPTCP stack", h.Name, h.Stack)
		return out, false
	}
	if h.PathManager != "userspace" {
		wrong("a command of path_manager userspace; %s has %s", h.Name, cmp.Or(h.PathManager, "kernel"))
		return out, false
	}
	out.Local = pm.Endpoint{ID: c.local.ID, Port: c.local.Port, Flags: c.local.Flags}
	switch c.Kind {
	case "announce":
		out.Local.Flags |= pm.Signal
	case "subflow_create":
		out.Local.Flags |= pm.Subflow
	}
	if c.Kind != "remove" {
		if out.Local.Addr, out.Local.Dev = c.local.address(n, r); !out.Local.Addr.IsValid() {
			return out, false
		}
	}
	remote, err := netip.ParseAddr(c.remote)
	if c.remote != "" && err != nil {
		remote = c.remoteAddr(t, out.Local.Addr, r)
		ok = ok && remote.IsValid()
	}
	if remote.IsValid() && remote.Is4() != out.Local.Addr.Is4() {
		wrong("%s and %s are of different families", out.Local.Addr, remote)
	}
	out.Remote = netip.AddrPortFrom(remote, uint16(c.port))
	if c.Kind == "listener" {
		return out, ok
	}
	var names []string
	for _, w := range work {
		if w.Client != n.Name && w.Server != n.Name || w.Proto == "tcp" {
			continue
		}
		if w.Name == c.Flow || w.Flow() == c.Flow || c.Flow == "" {
			return out, ok
		}
		names = append(names, w.Name, w.Flow())
	}
	slices.Sort(names)
	if names = slices.Compact(names); c.Flow == "" {
		wrong("%s has no flow with MPTCP", n.Name)
	} else {
		wrong("%s has no flow %q with MPTCP%s", n.Name, c.Flow, decode.Suggest(c.Flow, names))
	}
	return out, false
}

// remoteAddr is the address of HOST.LINK in the family of local.
func (c *commandDraft) remoteAddr(t *topology.Topology, local netip.Addr, r *decode.Report) netip.Addr {
	ends := findEnds(t, c.remote, c.path+".remote", c.at, r)
	if len(ends) == 0 {
		return netip.Addr{}
	}
	if len(ends) > 1 || ends[0].iface == nil {
		r.Errorf(c.at, "%s.remote: wanted is HOST.LINK of one host%s", c.path, decode.Allowed(interfaces(ends[0].node)))
		return netip.Addr{}
	}
	family := 6
	if local.Is4() {
		family = 4
	}
	a, ok := ends[0].iface.Addr(family)
	if !ok {
		r.Errorf(c.at, "%s.remote: %s has no IPv%d address", c.path, ends[0], family)
	}
	return a
}
