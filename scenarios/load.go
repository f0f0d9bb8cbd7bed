package scenarios

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"mptcplab/scenarios/result"
)

// load watches what else the machine was busy with while runs went on in real
// time: how late a sleeping thread woke, and the CPU time that was stolen.
type load struct {
	stop    chan struct{}
	stopped chan struct{}
	before  cpuTime
	late    [lateBins]uint32 // by 10 us; the last bin has all beyond
	max     time.Duration
}

const (
	lateBin  = 10 * time.Microsecond
	lateBins = 10_000 // up to 100 ms
	nap      = 5 * time.Millisecond
)

func measureLoad() *load {
	l := &load{stop: make(chan struct{}), stopped: make(chan struct{})}
	l.before, _ = readCPUTime() // without it the share of stolen time is 0
	go l.watch()
	return l
}

func (l *load) watch() {
	defer close(l.stopped)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		begin := time.Now()
		ts := unix.NsecToTimespec(int64(nap))
		_ = unix.Nanosleep(&ts, nil) // cut short by a signal it is not late
		late := max(0, time.Since(begin)-nap)
		l.max = max(l.max, late)
		l.late[min(int(late/lateBin), lateBins-1)]++
	}
}

// environment ends the watch and says what it saw.
func (l *load) environment() *result.Environment {
	close(l.stop)
	<-l.stopped
	e := &result.Environment{CPUs: runtime.NumCPU(), SchedDelayP50: l.percentile(50), SchedDelayP99: l.percentile(99),
		SchedDelayMax: float64(l.max) / 1e3}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		e.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	if after, err := readCPUTime(); err == nil && after.total > l.before.total {
		e.StealPercent = 100 * float64(after.steal-l.before.steal) / float64(after.total-l.before.total)
	}
	return e
}

// percentile returns the upper edge, in microseconds, of the bin in which the
// p-th of 100 parts of the naps lies.
func (l *load) percentile(p uint64) float64 {
	var all, sum uint64
	for _, n := range l.late {
		all += uint64(n)
	}
	for i, n := range l.late {
		sum += uint64(n)
		if sum*100 >= all*p {
			return float64(time.Duration(i+1)*lateBin) / 1e3
		}
	}
	return 0
}

type cpuTime struct{ total, steal uint64 }

// readCPUTime reads the first line of /proc/stat (proc_stat(5)): user nice system
// idle iowait irq softirq steal, in ticks.
func readCPUTime() (cpuTime, error) {
	f, err := os.Open("/proc/stat")
	if err != nil {
		return cpuTime{}, err
	}
	defer f.Close()
	line, err := bufio.NewReader(f).ReadString('\n')
	if err != nil {
		return cpuTime{}, err
	}
	var v [8]uint64
	if _, err := fmt.Sscanf(strings.TrimPrefix(line, "cpu"), "%d %d %d %d %d %d %d %d",
		&v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]); err != nil {
		return cpuTime{}, err
	}
	t := cpuTime{steal: v[7]}
	for _, n := range v {
		t.total += n
	}
	return t, nil
}
