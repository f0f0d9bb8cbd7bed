package netns

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// mountSysfs gives the calling thread, and children that it starts, a /sys that shows
// its network namespace, in a mount namespace of its own: sysfs shows the namespace in
// which it was mounted.
func mountSysfs() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare(CLONE_NEWNS): %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := unix.Mount("sysfs", "/sys", "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting sysfs: %w", err)
	}
	return nil
}

// keepOrder has the packets that arrive at an interface of the calling thread's
// namespace handled by one processor, the n-th of those we may use (receive packet
// steering). By default the processor of the sender does that: a sender that moves to
// another processor, as on a busy machine it does within a burst, overtakes its own
// packets, and a clean link would reorder.
func keepOrder(name string, n int) error {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return err
	}
	n %= max(1, set.Count())
	for cpu := range len(set) * strconv.IntSize {
		if !set.IsSet(cpu) {
			continue
		}
		if n == 0 {
			return os.WriteFile("/sys/class/net/"+name+"/queues/rx-0/rps_cpus", cpuMask(cpu), 0)
		}
		n--
	}
	return nil
}

// cpuMask writes the set of one processor as the kernel reads it: hexadecimal, 32 bits
// to a group.
func cpuMask(cpu int) []byte {
	mask := fmt.Appendf(nil, "%x", 1<<(cpu%32))
	return append(mask, bytes.Repeat([]byte(",00000000"), cpu/32)...)
}
