// Guest is the program that the tests of package vm run in the machine.
package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"mptcplab/topology/vm"
)

func main() {
	if vm.IsInit() {
		vm.Init()
	}
	switch os.Args[1] {
	case "exit":
		fmt.Println("to stdout")
		fmt.Fprintln(os.Stderr, "to stderr")
		n, err := strconv.Atoi(os.Args[2])
		check(err)
		os.Exit(n)
	case "copy": // FROM TO
		data, err := os.ReadFile(os.Args[2])
		check(err)
		check(os.MkdirAll(os.Args[3]+"/sub", 0o755))
		check(os.WriteFile(os.Args[3]+"/sub/copy", data, 0o640))
		check(os.WriteFile(os.Args[3]+"/result.json", []byte("{}\n"), 0o644))
	case "kill":
		check(syscall.Kill(os.Getpid(), syscall.SIGTERM))
		time.Sleep(time.Hour)
	case "hang":
		fmt.Println("hanging")
		time.Sleep(time.Hour)
	case "cat":
		for _, name := range os.Args[2:] {
			data, err := os.ReadFile(name)
			check(err)
			fmt.Printf("%s:\n%s", name, data)
		}
	default:
		check(fmt.Errorf("unknown command %q", os.Args[1]))
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(99)
	}
}
