"""The parts that every report shares: one offline page, its look, its map, its charts."""
