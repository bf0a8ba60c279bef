package main

type importCmd struct{}

func (*importCmd) Run() error { return nil }

type demoCmd struct{}

func (*demoCmd) Run() error { return nil }
