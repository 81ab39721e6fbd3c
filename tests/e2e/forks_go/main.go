// A function in Go, with nothing but the standard library: it speaks the Runtime API over TCP.
package main

import (
	"bytes"
	cryptorand "crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const due = 3 * time.Second

var (
	begin   = time.Now()
	ticks   int64
	asked   = make(chan int)
	doubled = make(chan int)
	// What falls due, in seconds since the begin.
	ended = make(chan map[string]float64, 1)
	graph = make(map[int][]int)
	drawn = hex.EncodeToString(random())
	// Waited for from init on: a signal, and a pipe.
	signals        = make(chan os.Signal, 1)
	heard          = make(chan string)
	reader, writer = pipe()
)

func since() float64 {
	return time.Since(begin).Seconds()
}

func pipe() (*os.File, *os.File) {
	reader, writer, err := os.Pipe()
	check(err)
	return reader, writer
}

func random() []byte {
	made := make([]byte, 16)
	_, err := cryptorand.Read(made)
	check(err)
	return made
}

func init() {
	rand.Seed(time.Now().UnixNano())
	for n := 0; n < 10000; n++ {
		graph[n] = []int{n}
	}
	go func() {
		for n := range asked {
			doubled <- 2 * n
		}
	}()
	signal.Notify(signals, syscall.SIGUSR1)
	go func() {
		line := make([]byte, 64)
		count, err := reader.Read(line)
		check(err)
		heard <- string(line[:count])
	}()
	switch os.Getenv("INIT") {
	case "ticker":
		go func() {
			for range time.Tick(10 * time.Millisecond) {
				atomic.AddInt64(&ticks, 1)
			}
		}()
	case "busy":
		go func() {
			for {
				atomic.AddInt64(&ticks, 1)
			}
		}()
	}
	ended <- map[string]float64{}
	fall := func(name string) {
		found := <-ended
		found[name] = since()
		ended <- found
	}
	time.AfterFunc(due, func() { fall("AfterFunc") })
	go func() {
		time.Sleep(due)
		fall("Sleep")
	}()
	go func() {
		select {
		case <-make(chan int):
		case <-time.After(due):
			fall("select")
		}
	}()
}

// How far the ticker gets in half a second of a goroutine's own, and in how many seconds it was.
func tick() any {
	first, began := atomic.LoadInt64(&ticks), time.Now()
	time.Sleep(500 * time.Millisecond)
	return []any{atomic.LoadInt64(&ticks) - first, time.Since(began).Seconds()}
}

func timers() any {
	began := since()
	for since() < began+5 {
		found := <-ended
		count := len(found)
		ended <- found
		if count == 3 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	found := <-ended
	defer func() { ended <- found }()
	return map[string]any{"began": began, "ended": found, "wall": float64(time.Now().UnixNano()) / 1e9}
}

func processes() any {
	found := map[string]any{}
	out, err := exec.Command("sh", "-c", "echo $MARK; pwd").Output()
	found["child"] = []string{string(out), fmt.Sprint(err)}
	cat := exec.Command("cat")
	cat.Stdin = strings.NewReader(strings.Repeat("x", 1<<20))
	out, err = cat.Output()
	found["pipe"] = []string{fmt.Sprint(len(out)), fmt.Sprint(err)}
	failed := exec.Command("sh", "-c", "exit 7").Run()
	found["failed"] = fmt.Sprint(failed)
	asked <- 21
	found["goroutine of init"] = <-doubled
	sums := make(chan int)
	for n := 0; n < 1000; n++ {
		go func(n int) { sums <- n }(n)
	}
	sum := 0
	for n := 0; n < 1000; n++ {
		sum += <-sums
	}
	found["new goroutines"] = sum
	locked := make(chan int)
	for n := 0; n < 8; n++ {
		go func() {
			// The thread ends with it.
			runtime.LockOSThread()
			locked <- 1
		}()
	}
	for n := 0; n < 8; n++ {
		<-locked
	}
	var live [][]byte
	for round := 0; round < 4; round++ {
		live = nil
		for n := 0; n < 16; n++ {
			live = append(live, make([]byte, 1<<20))
		}
		runtime.GC()
	}
	zero := true
	for _, block := range live {
		zero = zero && bytes.Count(block, []byte{0}) == len(block)
	}
	kept := 0
	for n, next := range graph {
		if next[0] == n {
			kept++
		}
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	found["garbage"] = []any{zero, kept, memory.NumGC >= 4}
	path := "/tmp/own"
	found["written"] = fmt.Sprint(os.WriteFile(path, []byte("own"), 0o600))
	content, _ := os.ReadFile(path)
	found["read"] = string(content)
	writer.WriteString("through the pipe")
	found["pipe of init"] = <-heard
	check(syscall.Kill(os.Getpid(), syscall.SIGUSR1))
	found["signal"] = (<-signals).String()
	// The collector stops one that computes by a signal to its thread.
	var computes, stop int32
	spun := make(chan bool)
	go func() {
		for atomic.StoreInt32(&computes, 1); atomic.LoadInt32(&stop) == 0; {
		}
		spun <- true
	}()
	for atomic.LoadInt32(&computes) == 0 {
		time.Sleep(time.Millisecond)
	}
	runtime.GC()
	atomic.StoreInt32(&stop, 1)
	found["preempted"] = <-spun
	return found
}

func handle(event map[string]any) any {
	switch event["do"] {
	case "tick":
		return tick()
	case "time":
		return timers()
	case "processes":
		return processes()
	case "random":
		return map[string]any{"crypto": hex.EncodeToString(random()), "seeded": rand.Int63(), "drawn": drawn}
	case "die":
		os.Exit(7)
	}
	asked <- 21
	return map[string]any{"event": event, "twice": <-doubled, "mark": os.Getenv("MARK")}
}

func check(err error) {
	if err != nil {
		fmt.Println("client:", err)
		os.Exit(1)
	}
}

func main() {
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		next, err := http.Get(base + "next")
		check(err)
		var event map[string]any
		check(json.NewDecoder(next.Body).Decode(&event))
		io.Copy(io.Discard, next.Body)
		next.Body.Close()
		id := next.Header.Get("Lambda-Runtime-Aws-Request-Id")
		answer, err := json.Marshal(map[string]any{"id": id, "result": handle(event)})
		check(err)
		done, err := http.Post(base+id+"/response", "application/json", bytes.NewReader(answer))
		check(err)
		io.Copy(io.Discard, done.Body)
		done.Body.Close()
	}
}
