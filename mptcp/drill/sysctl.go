package drill

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mptcplab/mptcp"
)

// stackSysctl sets a key that is the whole stack's; false: it is none of those.
func (r *run) stackSysctl(key, v string) (bool, error) {
	y := r.stack.Sysctl()
	if key == "net.ipv4.tcp_fastopen_key" {
		keys, err := fastOpenKeys(v)
		if err == nil {
			y.FastOpenKeys = keys
		}
		return true, err
	}
	n64, err := strconv.ParseInt(v, 0, 32)
	n := int(n64)
	if err != nil {
		return false, nil
	}
	switch key {
	case "net.ipv4.tcp_fastopen":
		y.FastOpen = orNone(n)
	case "net.ipv4.tcp_fastopen_blackhole_timeout_sec":
		y.FastOpenBlackhole = time.Duration(n) * time.Second
	case "net.ipv4.tcp_syncookies":
		y.SYNCookies = orNone(n)
	case "net.ipv4.tcp_max_syn_backlog":
		y.MaxSYNBacklog = orNone(n)
	case "net.ipv4.tcp_migrate_req":
		y.MigrateReq = n != 0
	case "net.ipv4.tcp_abort_on_overflow":
		y.AbortOnOverflow = n != 0
	case "net.core.somaxconn":
		y.SOMaxConn = orNone(n)
	case "net.mptcp.enabled":
		y.NoMPTCP = n == 0
	case "net.mptcp.blackhole_timeout":
		y.BlackholeTimeout = time.Duration(orNone(n)) * time.Second
	default:
		return false, nil
	}
	return true, nil
}

// fastOpenKeys reads one key or two, "xxxxxxxx-xxxxxxxx-xxxxxxxx-xxxxxxxx", whose words
// are little endian.
func fastOpenKeys(v string) (k mptcp.FastOpenKeys, err error) {
	for part := range strings.SplitSeq(v, ",") {
		words := strings.Split(part, "-")
		if len(words) != 4 || k.Num == len(k.Keys) {
			return k, fmt.Errorf("tcp_fastopen_key needs one key or two of four words")
		}
		for i, w := range words {
			x, err := strconv.ParseUint(w, 16, 32)
			if err != nil {
				return k, fmt.Errorf("tcp_fastopen_key: %w", err)
			}
			binary.LittleEndian.PutUint32(k.Keys[k.Num][4*i:], uint32(x))
		}
		k.Num++
	}
	return k, nil
}
