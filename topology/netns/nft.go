package netns

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// masquerade makes the router translate addresses. It is
//
//	nft add table ip nat
//	nft add chain ip nat out '{ type nat hook postrouting priority srcnat; }'
//	nft add rule ip nat out oifname LINK masquerade
//	nft add chain ip nat in '{ type filter hook forward priority filter; }'
//	nft add rule ip nat in iifname LINK oifname != LINK ct state new drop
//
// so that what nobody inside asked for does not come in.
func (n *Node) masquerade() error {
	nat := n.spec.NAT
	if nat.Link == "" {
		return nil
	}
	c, err := nftables.New()
	if err != nil {
		return err
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "nat"})
	out := c.AddChain(&nftables.Chain{Name: "out", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource})
	c.AddRule(&nftables.Rule{Table: table, Chain: out, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: ifname(nat.Link)},
		&expr.Masq{},
	}})
	in := c.AddChain(&nftables.Chain{Name: "in", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter})
	c.AddRule(&nftables.Rule{Table: table, Chain: in, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: ifname(nat.Link)},
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: ifname(nat.Link)},
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(expr.CtStateBitNEW), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}})
	if err := c.Flush(); err != nil {
		return fmt.Errorf("nft masquerade by %s: %w", nat.Link, err)
	}
	seconds := strconv.FormatInt(max(1, int64(nat.Timeout/time.Second)), 10)
	return writeSysctl("net.netfilter.nf_conntrack_tcp_timeout_established", seconds)
}

// ifname is an interface's name as nftables compares it.
func ifname(name string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b
}

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
