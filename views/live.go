package views

// The attributes of <body> that open a page's stream, watch over it and know how it is doing. They are constants: the one thing
// that differs between pages, the stream's address, stands in data-stream, which nothing evaluates.
//
// Signals: _conn is connecting, live or lost; _lost is when it was lost, _beat when the stream last said anything, _at when it
// last told the age of the data, and _tick the present second, all by the browser's clock. The server sends _hb (a counter),
// _age (milliseconds since the source heard longest ago was heard; below zero: never), _stale (a source has stopped answering),
// _now (its own clock) and _mode: live, or poll for a stream that ends after each whole page and is asked for again, in which case
// the end of a stream is no loss unless the last beat is more than one poll ago.
const (
	liveSignals = `{_conn:'connecting',_beat:0,_lost:0,_tick:0,_at:0,_hb:0,_age:-1,_stale:false,_now:0,_mode:'live'}`

	liveGet  = `@get(el.dataset.stream,{retry:'always',retryMaxCount:Infinity,retryMaxWait:10000,filterSignals:{include:/^$/}})`
	liveInit = `$_beat=$_tick=$_lost=Date.now();` + liveGet

	// A patch that hold.js kept back says nothing of the connection now.
	liveOnFetch = `evt.detail.type==='error'&&evt.detail.argsRaw.status==='401'&&location.assign('/signin?next='+encodeURIComponent(location.pathname+location.search));` +
		`evt.detail.el===el&&!evt.detail.held&&(` +
		`['retrying','retries-failed','error','finished'].includes(evt.detail.type)?$_conn!=='lost'&&($_mode!=='poll'||Date.now()-$_beat>3000)&&($_conn='lost',$_lost=Date.now()):` +
		`evt.detail.type.startsWith('datastar-patch')&&($_conn='live',$_beat=Date.now(),` +
		`evt.detail.type==='datastar-patch-signals'&&evt.detail.argsRaw.signals.includes('_age')&&($_at=Date.now())))`

	// A connection that is half open raises nothing: when the beats stop, the same request is made again, which ends the old one.
	liveWatchdog = `$_tick=Date.now();$_tick-$_beat>15000&&!document.hidden&&` +
		`($_conn!=='lost'&&($_conn='lost',$_lost=$_beat),$_beat=$_tick,` + liveGet + `)`

	// A hidden page has no stream, so its silence means nothing.
	liveShown = `document.hidden||($_beat=$_tick=Date.now())`

	connClass = `{ok:$_conn==='live',lost:$_conn==='lost',gone:$_conn==='lost'&&$_tick-$_lost>=10000}`
	connText  = `$_conn==='live'?'live':$_conn==='connecting'?'connecting…':` +
		`($_tick-$_lost<10000?'reconnecting, lost for ':'server gone for ')+trackside.words($_tick-$_lost)`
	ageClass = `{old:$_stale||$_age>=0&&$_age+$_tick-$_at>15000}`
	ageText  = `$_at===0?'':$_age>=0?'data '+trackside.words($_age+$_tick-$_at)+' old':'data not yet confirmed'`
)
