// Videos of one clip, played in step by one control. One of them (the one that sounds) keeps the time; the others are
// nudged towards it by their speed, or set when they are far off.
const SVG = "http://www.w3.org/2000/svg";
const NEAR_S = 0.02, FAR_S = 0.3;

const player = {
  videos: [], heads: [], seconds: 0, isPlaying: false, serial: 0,

  control: (id) => document.getElementById(id),
  speed: () => Number(player.control("speed").value),
  usable: () => player.videos.filter((video) => !video.error && Number.isFinite(video.duration)),
  isOver: (video) => video.currentTime >= video.duration - 0.5 / data.fps,

  // The video that keeps the time: the one that sounds, or the longest while it still runs.
  leader() {
    const running = player.usable().filter((video) => !player.isOver(video));
    running.sort((one, other) => one.muted - other.muted || other.duration - one.duration);
    return running[0];
  },

  time() {
    const leader = player.leader() || player.usable().sort((one, other) => other.duration - one.duration)[0];
    return leader ? leader.currentTime : 0;
  },

  open(videos, heads) {
    player.close();
    Object.assign(player, { videos, heads, seconds: 0 });
    for (const video of videos) {
      video.addEventListener("loadedmetadata", () => {
        player.seconds = Math.max(player.seconds, video.duration);
        player.control("seek").max = player.seconds;
        player.show();
      });
      video.addEventListener("seeked", () => player.isPlaying || player.show());
    }
    player.show();
  },

  // Files are let go, so that nothing loads or sounds behind a closed clip.
  close() {
    player.pause();
    for (const video of player.videos) {
      video.removeAttribute("src");
      video.load();
    }
    Object.assign(player, { videos: [], heads: [], seconds: 0 });
  },

  show(time = player.time()) {
    const seek = player.control("seek"), text = `${time.toFixed(2)} s · frame ${Math.floor(time * data.fps + 1e-6)}`;
    seek.value = time;
    seek.setAttribute("aria-valuetext", text);
    player.control("clock").textContent = text;
    for (const { line, seconds } of player.heads) {
      const x = seconds > 0 ? Math.min(100, (100 * time) / seconds) : 0;
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
    }
  },

  seek(time) {
    const bounded = Math.min(Math.max(0, time), player.seconds);
    for (const video of player.usable()) video.currentTime = Math.min(bounded, Math.max(0, video.duration - 0.5 / data.fps));
    player.show(bounded);
  },

  // To the middle of a frame, where no rounding can show its neighbour.
  step(frames) {
    player.pause();
    player.seek((Math.floor(player.time() * data.fps + 1e-6) + frames + 0.5) / data.fps);
  },

  async play() {
    if (player.usable().every(player.isOver)) player.seek(0);
    const serial = ++player.serial;
    player.isPlaying = true;
    player.label();
    const time = player.time();
    const running = player.usable().filter((video) => time < video.duration - 0.5 / data.fps);
    for (const video of running) {
      video.playbackRate = player.speed();
      if (Math.abs(video.currentTime - time) > NEAR_S) video.currentTime = time;
    }
    await Promise.allSettled(running.map((video) => video.play()));
    if (serial === player.serial && player.isPlaying) player.follow(serial);
  },

  pause() {
    player.serial += 1;
    player.isPlaying = false;
    for (const video of player.videos) video.pause();
    player.label();
  },

  label() {
    player.control("play").textContent = player.isPlaying ? "pause" : "play";
  },

  follow(serial) {
    if (serial !== player.serial) return;
    const leader = player.leader();
    if (!leader) {
      player.show(player.seconds);
      player.pause();
      if (player.control("loop").checked) player.play();
      return;
    }
    const speed = player.speed();
    leader.playbackRate = speed;
    for (const video of player.usable()) {
      if (video === leader || player.isOver(video)) continue;
      const ahead = video.currentTime - leader.currentTime;
      if (Math.abs(ahead) > FAR_S && !video.seeking) video.currentTime = leader.currentTime;
      video.playbackRate = Math.abs(ahead) > NEAR_S ? speed * (1 - Math.max(-0.1, Math.min(0.1, ahead))) : speed;
    }
    player.show(leader.currentTime);
    requestAnimationFrame(() => player.follow(serial));
  },

  sound(index) {
    player.videos.forEach((video, number) => { video.muted = String(number) !== index; });
  },

  start() {
    const on = (id, event, action) => player.control(id).addEventListener(event, action);
    on("play", "click", () => {
      if (!player.isPlaying) { player.play(); return; }
      player.pause();
      player.seek(player.time()); // all at the very same moment
    });
    on("back", "click", () => player.step(-1));
    on("forth", "click", () => player.step(1));
    on("seek", "input", (event) => player.seek(Number(event.target.value)));
    on("sound", "change", (event) => player.sound(event.target.value));
    on("clip", "keydown", (event) => {
      if (/^(INPUT|SELECT|BUTTON|TEXTAREA)$/.test(event.target.tagName)) return;
      if (event.key === " ") player.control("play").click();
      else if (event.key === "ArrowLeft") player.step(-1);
      else if (event.key === "ArrowRight") player.step(1);
      else return;
      event.preventDefault();
    });
  },
};
