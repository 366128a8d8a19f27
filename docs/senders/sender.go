// A sender of the push protocol (../push.md) in one file: counts events inside a service, and pushes them.
// Copy what stands above main into your service; main only lets the conformance cases drive it.
package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

type key struct {
	source string
	bucket int64 // start, µs since the epoch
}

type cell struct {
	reporter string
	count    int64
	told     int64 // the count that the service has confirmed; -1: none
	touched  int64
}

// Counter counts one stage of one pipeline in this process. All times are µs since the epoch.
type Counter struct {
	Bucket, Settle, Keep int64 // µs: width of a bucket; until an event is counted; how long a bucket is remembered
	Most                 int   // cells in memory
	Token                string
	Client               *http.Client

	url, pipeline, stage, reporter string
	mutex, pushing                 sync.Mutex
	cells                          map[key]*cell
	held, through, at, sealed      int64
	lives                          int
	closed, dropped                bool
}

// NewCounter begins a life: its reporter bears an id of its own, whatever the name.
func NewCounter(url, pipeline, stage, name string) *Counter {
	id := make([]byte, 4)
	if _, err := rand.Read(id); err != nil {
		panic(err)
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Counter{
		Bucket: 60e6, Settle: 2e6, Keep: 7200e6, Most: 100_000,
		Client: &http.Client{Timeout: 10 * time.Second, CheckRedirect: stay},
		url:    strings.TrimRight(url, "/") + "/v1/observations", pipeline: pipeline, stage: stage,
		reporter: name + "-" + hex.EncodeToString(id), cells: map[key]*cell{}, held: 1 << 62,
	}
}

// Add counts events that were accepted at an instant. What cannot be counted holds `through` back for good.
func (c *Counter) Add(source string, count, accepted, now int64) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	bucket := accepted - accepted%c.Bucket
	one := c.cells[key{source, bucket}]
	if c.closed || source == "" || count < 0 || (one == nil && len(c.cells) >= c.Most) {
		c.dropped, c.held = true, least(c.held, bucket)
		return
	}
	if one == nil {
		one = &cell{reporter: c.reporter, told: -1}
		if bucket < c.sealed { // it may have been forgotten: what comes now begins anew, and adds
			one.reporter += "+" + strconv.Itoa(c.lives)
		}
		c.cells[key{source, bucket}] = one
	}
	one.count, one.touched = one.count+count, now
}

// Push sends what has changed, then how far everything is told; call it every 10 s, later after each failure.
func (c *Counter) Push(now int64) error { return c.push(now, false) }

// Close pushes what is left and says that this life has ended. Call it again until it succeeds or you must go.
func (c *Counter) Close(now int64) error {
	c.mutex.Lock()
	c.closed = true
	c.mutex.Unlock()
	return c.push(now, true)
}

func (c *Counter) push(now int64, final bool) error {
	c.pushing.Lock()
	defer c.pushing.Unlock()
	c.at = most(now, c.at+1) // later readings must be later, whatever the clock does
	type told struct {
		cell  *cell
		count int64
	}
	var lines []map[string]any
	var sent []told
	c.mutex.Lock()
	for name, one := range c.cells {
		if one.told != one.count {
			sent = append(sent, told{one, one.count})
			lines = append(lines, map[string]any{"type": "count", "at": text(c.at), "pipeline": c.pipeline, "stage": c.stage,
				"source": name.source, "bucket": text(name.bucket), "count": one.count, "reporter": one.reporter})
		}
	}
	c.mutex.Unlock()
	for start := 0; start < len(lines); start += 5_000 {
		end := least(start+5_000, len(lines))
		if err := c.send(lines[start:end]); err != nil {
			return err
		}
		c.mutex.Lock()
		for _, one := range sent[start:end] {
			one.cell.told = one.count
		}
		c.mutex.Unlock()
	}
	c.mutex.Lock()
	through, ended := least(now-c.Settle, c.held), final && !c.dropped
	if final {
		through = least(now, c.held)
	}
	c.forget(now)
	c.mutex.Unlock()
	if through <= c.through && !ended {
		return nil
	}
	line := map[string]any{"type": "progress", "at": text(c.at), "pipeline": c.pipeline, "stage": c.stage,
		"reporter": c.reporter, "through": text(through)}
	if ended {
		line["final"] = true
	}
	err := c.send([]map[string]any{line})
	if err == nil {
		c.through = through
	}
	return err
}

// send is done only by a 200 that says that every line was kept. After anything else the same is sent again.
func (c *Counter) send(lines []map[string]any) error {
	var body bytes.Buffer
	for _, line := range lines {
		if err := json.NewEncoder(&body).Encode(line); err != nil {
			return err
		}
	}
	request, err := http.NewRequest(http.MethodPost, c.url, &body)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-ndjson")
	if c.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.Token)
	}
	response, err := c.Client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct{ Kept *int }
	if err = json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if response.StatusCode != 200 || answer.Kept == nil || *answer.Kept != len(lines) {
		return fmt.Errorf("not confirmed: %s (Retry-After: %q)", response.Status, response.Header.Get("Retry-After"))
	}
	return nil
}

// forget drops cells that were told long ago; what comes for their buckets later is counted as another life.
func (c *Counter) forget(now int64) {
	forgot := false
	for name, one := range c.cells {
		if one.told == one.count && name.bucket+c.Bucket <= now-c.Keep && one.touched <= now-c.Keep {
			delete(c.cells, name)
			forgot = true
		}
	}
	if forgot {
		c.sealed, c.lives = most(c.sealed, now-c.Keep), c.lives+1
	}
}

func text(micros int64) string {
	return time.UnixMicro(micros).UTC().Format("2006-01-02T15:04:05.999999Z")
}

// main takes steps as lines: add NOW SOURCE COUNT ACCEPTED, push NOW, close NOW; parted by tabs.
func main() {
	counter := NewCounter(os.Args[1], os.Args[2], os.Args[3], os.Args[4])
	micros := func(word string) int64 {
		moment, err := time.Parse(time.RFC3339, word)
		if err != nil {
			panic(err)
		}
		return moment.UnixMicro()
	}
	for steps := bufio.NewScanner(os.Stdin); steps.Scan(); {
		words := strings.Split(steps.Text(), "\t")
		now := micros(words[1])
		var err error
		switch words[0] {
		case "add":
			count, _ := strconv.ParseInt(words[3], 10, 64)
			counter.Add(words[2], count, micros(words[4]), now)
			continue
		case "push":
			err = counter.Push(now)
		case "close":
			err = counter.Close(now)
		}
		if err != nil {
			fmt.Println("failed")
		} else {
			fmt.Println("confirmed")
		}
	}
}

// Written out, so that Go 1.18 will do.
func least[T int | int64](a, b T) T {
	if a < b {
		return a
	}
	return b
}

func most[T int | int64](a, b T) T {
	if a > b {
		return a
	}
	return b
}
