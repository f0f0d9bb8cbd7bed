package netns

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// dropIngress drops all that arrives at an interface of the calling thread's
// namespace; sockets for all protocols see it before. It is
//
//	nft add table netdev NAME
//	nft add chain netdev NAME drop '{ type filter hook ingress device NAME priority 0; policy drop; }'
//
// Where the kernel has no such hook, it drops the packets a little later, having no
// address and no forwarding.
func dropIngress(name string) error {
	err := addDropChain(name)
	for _, absent := range []error{unix.EOPNOTSUPP, unix.ENOENT, unix.EPROTONOSUPPORT, unix.EAFNOSUPPORT} {
		if errors.Is(err, absent) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("nft ingress drop on %s: %w", name, err)
	}
	return nil
}

func addDropChain(name string) error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	policy := nftables.ChainPolicyDrop
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyNetdev, Name: name})
	c.AddChain(&nftables.Chain{
		Name:     "drop",
		Table:    table,
		Type:     nftables.ChainTypeFilter,
		Hooknum:  nftables.ChainHookIngress,
		Priority: nftables.ChainPriorityFilter,
		Device:   name,
		Policy:   &policy,
	})
	return c.Flush()
}
