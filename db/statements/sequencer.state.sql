select epoch, seq, floor from sequencer
