package drill

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Mode is with which sockets and packets a script runs.
type Mode string

// The modes.
const (
	IPv4   Mode = "ipv4"
	Mapped Mode = "ipv4-mapped-ipv6" // IPv6 sockets, IPv4 packets
	IPv6   Mode = "ipv6"
)

// ParseMode returns the mode of that name; "" is all of them.
func ParseMode(name string) (Mode, error) {
	switch m := Mode(name); m {
	case "", IPv4, Mapped, IPv6:
		return m, nil
	}
	return "", fmt.Errorf("IP version %q: want %s, %s or %s", name, IPv4, IPv6, Mapped)
}

// Modes returns the modes in which a script runs: by the end of its name, as in
// the suites.
func Modes(file string) []Mode {
	base := strings.TrimSuffix(file, ".pkt")
	switch {
	case strings.HasSuffix(base, "v4"):
		return []Mode{IPv4, Mapped}
	case strings.HasSuffix(base, "v6"):
		return []Mode{IPv6}
	}
	return []Mode{IPv4, Mapped, IPv6}
}

// modesOf returns the Modes of a script, less those of another family than the
// addresses that it sets itself.
func modesOf(file string) []Mode {
	modes := Modes(file)
	src, err := os.ReadFile(file)
	if err != nil {
		return modes
	}
	s, err := Parse(file, string(src), map[string]string{})
	if err != nil {
		return modes // the run will say why
	}
	for _, o := range s.Options {
		if a, err := netip.ParseAddr(o.Value); err == nil && (o.Name == "local_ip" || o.Name == "remote_ip") {
			modes = slices.DeleteFunc(modes, func(m Mode) bool { return (m == IPv6) != a.Is6() })
		}
	}
	return modes
}

// settings are the parameters of a run: the mode's, changed by script options.
type settings struct {
	mode      Mode
	local     netip.Prefix // the stack's
	remote    netip.Addr   // the peer's
	route     netip.Prefix // the peer's network
	mtu       int
	tolerance time.Duration
	percent   float64
	strict    bool
	tsTick    time.Duration // 0: timestamps are not compared
	ecrScaled bool          // a TS ecr that no TS val of the stack's has is so much after the first one
	port      uint16        // of connect and listen
}

// cookies are the Fast Open cookies for the addresses of the runner with the key
// of defaults.sh.
var cookies = map[Mode]string{IPv4: "3021b9d889017eeb", Mapped: "3021b9d889017eeb", IPv6: "c1d1e9742a47a9bc"}

// defaults returns the parameters of the runner of the suites.
func defaults(m Mode) settings {
	s := settings{mode: m, tolerance: 4 * time.Millisecond, percent: 12.5, port: 8080,
		local: netip.MustParsePrefix("192.168.0.1/16"), remote: netip.MustParseAddr("192.0.2.1"),
		route: netip.MustParsePrefix("192.0.2.0/24"), mtu: 1500}
	if m == IPv6 {
		s.local = netip.MustParsePrefix("fd3d:a0b:17d6::1/48")
		s.remote = netip.MustParseAddr("fd3d:fa7b:d17d::1")
		s.route = netip.MustParsePrefix("fd3d:fa7b:d17d::/32")
		s.mtu = 1520
	}
	return s
}

// apply takes one option of a script.
func (s *settings) apply(file string, o ScriptOption, defines map[string]string) error {
	fail := func(text string) error { return &SyntaxError{file, o.Line, "--" + o.Name + ": " + text} }
	n, numErr := strconv.ParseInt(o.Value, 10, 32)
	switch o.Name {
	case "tolerance_usecs", "mss", "mtu", "tcp_ts_tick_usecs", "connect_port", "bind_port":
		if numErr != nil || n < 0 {
			return fail("needs a number")
		}
	}
	switch o.Name {
	case "tolerance_usecs":
		s.tolerance = time.Duration(n) * time.Microsecond
	case "mss": // of the runner's commands: the stack's follows from the MTU
	case "tolerance_percent":
		f, err := strconv.ParseFloat(o.Value, 64)
		if err != nil || f < 0 {
			return fail("needs a number")
		}
		s.percent = f
	case "mtu":
		s.mtu = int(n)
	case "tcp_ts_tick_usecs":
		s.tsTick = time.Duration(n) * time.Microsecond
	case "connect_port", "bind_port":
		s.port = uint16(n)
	case "tcp_ts_ecr_scaled":
		s.ecrScaled = true
	case "strict_segments":
		s.strict = true
	case "local_ip", "remote_ip":
		a, err := netip.ParseAddr(o.Value)
		if err != nil || a.Is6() != s.remote.Is6() {
			return fail("needs an address of the family of the run")
		}
		if o.Name == "local_ip" {
			s.local = netip.PrefixFrom(a, s.local.Bits())
		} else {
			s.remote, s.route = a, netip.PrefixFrom(a, s.route.Bits()).Masked()
		}
	case "define", "D":
		k, v, ok := strings.Cut(o.Value, "=")
		if !ok {
			return fail("needs NAME=VALUE")
		}
		defines[k] = v
	case "ip_version", "non_fatal", "gateway_ip", "netmask_ip", "dry_run", "verbose", "debug", "speed", "init_scripts",
		"code_command", "code_format", "code_sockopt", "tun_dev", "persistent_tun_dev", "send_omit_free":
		// The version is the mode's; the others say nothing about the stack.
	default:
		return fail("is not supported")
	}
	return nil
}
