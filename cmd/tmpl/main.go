package main
import ("context";"fmt";"os";"time";"mptcplab/scenarios";"mptcplab/scenarios/spec";"mptcplab/plots";"mptcplab/topology/netns")
func main(){ code,done,err:=netns.Enter(); if err!=nil {fmt.Println(err);os.Exit(3)}; if done {os.Exit(code)}
 fab:=os.Args[3]; f,err:=spec.Load(os.Args[1], spec.Options{Fabric:fab, Only: os.Args[4:]}); if err!=nil {fmt.Println(err);os.Exit(1)}
t:=time.Now()
res,err:=scenarios.Run(ctx(), f, scenarios.Options{Fabric:fab, Impair:"auto", Out: os.Args[2], Version:"x", Progress: func(s scenarios.Status){ if s.Finished {fmt.Printf("%+v\n", s)}}})
fmt.Println(time.Since(t), err)
if res!=nil { fmt.Println(plots.Table(res)); if os.Getenv("PLOT")!="" {fmt.Println(plots.Render(os.Args[2]))} } }
func ctx() context.Context { c,_:=context.WithTimeout(context.Background(), 25*time.Second); return c }
