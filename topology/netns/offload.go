package netns

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// offloads are the ethtool(8) commands whose features are turned off on every
// interface, so that whatever looks at a link (qdisc, relay, capture) sees packets of
// the MTU with complete checksums.
var offloads = []struct {
	name string
	set  uint32 // linux/ethtool.h
}{
	{"tso", 0x1f},
	{"gso", 0x24},
	{"gro", 0x2c},
	{"tx", 0x17},
	{"rx", 0x15}, // receivers verify: a corrupted bit is found
	{"sg", 0x19},
}

// plainPackets turns the offloads of an interface of the calling thread's namespace
// off.
func plainPackets(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, o := range offloads {
		if err := ethtool(fd, name, o.set, 0); err != nil && err != unix.EOPNOTSUPP {
			return fmt.Errorf("ethtool -K %s %s off: %w", name, o.name, err)
		}
	}
	return nil
}

// ethtool sets one value by ioctl (struct ethtool_value behind struct ifreq).
func ethtool(fd int, name string, cmd, value uint32) error {
	v := struct{ cmd, data uint32 }{cmd, value}
	var req struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte // the rest of the union
	}
	copy(req.name[:unix.IFNAMSIZ-1], name)
	req.data = unsafe.Pointer(&v)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
	if errno != 0 {
		return errno
	}
	return nil
}
