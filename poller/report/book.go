package report

import (
	"context"
	"fmt"
	"slices"
	"time"

	"trackside/store"
)

// saveTimeout bounds how long somebody waits for the disk.
const saveTimeout = time.Second

// dirt is what is not in the book as it is now, by id.
type dirt struct {
	runners, tasks, heard  map[int64]struct{}
	goneRunners, goneTasks map[int64]struct{}
	sequence               bool
}

func newDirt() dirt {
	return dirt{map[int64]struct{}{}, map[int64]struct{}{}, map[int64]struct{}{}, map[int64]struct{}{}, map[int64]struct{}{}, false}
}

func (d *dirt) runner(id int64) { d.runners[id] = struct{}{} }
func (d *dirt) task(id int64)   { d.tasks[id] = struct{}{} }

func (d *dirt) goneRunner(id int64) {
	delete(d.runners, id)
	delete(d.heard, id)
	d.goneRunners[id] = struct{}{}
}

func (d *dirt) goneTask(id int64) {
	delete(d.tasks, id)
	d.goneTasks[id] = struct{}{}
}

func (d *dirt) empty() bool {
	return len(d.runners)+len(d.tasks)+len(d.heard)+len(d.goneRunners)+len(d.goneTasks) == 0 && !d.sequence
}

// merge adds what could not be written.
func (d *dirt) merge(o dirt) {
	for _, pair := range [][2]map[int64]struct{}{{d.runners, o.runners}, {d.tasks, o.tasks}, {d.heard, o.heard},
		{d.goneRunners, o.goneRunners}, {d.goneTasks, o.goneTasks}} {
		for id := range pair[1] {
			pair[0][id] = struct{}{}
		}
	}
	d.sequence = d.sequence || o.sequence
}

// page is what the dirt is now. The caller holds mu.
func (s *Source) page(d dirt) store.ReportBook {
	b := store.ReportBook{NextRunner: s.next.NextRunner, NextTask: s.next.NextTask, Heard: map[int64]time.Time{}}
	for id := range d.runners {
		if r := s.byID[id]; r != nil {
			kept := r.Report
			kept.Commands = slices.Clone(r.Commands)
			b.Runners = append(b.Runners, kept)
		}
	}
	for id := range d.tasks {
		if t := s.tasks[id]; t != nil {
			b.Tasks = append(b.Tasks, t.kept())
		}
	}
	for id := range d.heard {
		if r := s.byID[id]; r != nil {
			b.Heard[id] = r.Heard
		}
	}
	for id := range d.goneRunners {
		b.GoneRunners = append(b.GoneRunners, id)
	}
	for id := range d.goneTasks {
		b.GoneTasks = append(b.GoneTasks, id)
	}
	return b
}

// save writes what is not in the book, and returns when it is there: what a client was told must not be forgotten. One writes at a
// time; those who wait find their own written by the one before. An error is store.ErrUnavailable, and what could not be written
// is written with the next.
func (s *Source) save(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	select {
	case s.saving <- struct{}{}:
		defer func() { <-s.saving }()
	case <-ctx.Done():
		return fmt.Errorf("%w: the disk takes longer than %s; try again", store.ErrUnavailable, saveTimeout)
	}
	s.mu.Lock()
	d := s.book
	s.book = newDirt()
	b := s.page(d)
	s.mu.Unlock()
	if d.empty() {
		return nil
	}
	if err := s.cfg.Book.SaveReports(ctx, b); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.book.merge(d)
		return err
	}
	return nil
}

// saveAll saves without anybody waiting for it.
func (s *Source) saveAll(ctx context.Context) {
	if err := s.save(ctx); err != nil && ctx.Err() == nil {
		s.cfg.Log.Error("reports are not saved; they are tried again", "error", store.ErrorText(err))
	}
}
