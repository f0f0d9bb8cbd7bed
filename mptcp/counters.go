package mptcp

// Counters are the MIB counters of a stack under the names of the kernel
// (nstat -as), so that both stacks stand in one table. See Each for the order.
type Counters struct{}

// Each calls f with each counter, in the order of the struct.
func (c *Counters) Each(f func(name string, v uint64)) {}
