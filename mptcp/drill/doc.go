// Package drill runs packetdrill scripts, with their MPTCP options, on the stack
// itself in virtual time: no device, no root, no waiting. The script is the peer
// and owns the clock; what it expects of a kernel's sockets it gets from package
// socket.
//
// # Files
//
// lex, parse, parse_time, parse_packet, parse_option, parse_call: from text to
// script. run: the clock and the events. flow: which connection a packet belongs
// to. inject, expect: packets in and out. encode, encode_mptcp: options in bytes.
// call, command, code: system calls, shell commands, assertions. control: messages
// of recvmsg and sendmsg. report: what is printed.
//
// # Where it differs from packetdrill
//
// "cksum" in a dss may stand without a value: the checksum that is right for zeros.
// Shell commands are not run: those that say something about the stack (sysctl, ip
// mptcp, nstat) are recognised and applied, and any other is an error. Time is
// exact: the tolerances of scripts hide nothing but a kernel's timer granularity.
package drill
