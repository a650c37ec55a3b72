// The map's colours, for a light and a dark page: a scale of 256 steps, and colours for names.
const SCALES = {
  light: [[203, 203, 226], [150, 164, 222], [92, 116, 205], [76, 53, 184], [44, 20, 110]],
  dark: [[60, 55, 84], [74, 66, 140], [98, 96, 214], [150, 160, 255], [238, 236, 255]],
};
const NAMES = {
  light: [[76, 53, 184], [194, 99, 10], [26, 127, 78], [47, 111, 222], [176, 40, 100], [120, 120, 20], [16, 130, 150], [139, 63, 191], [150, 80, 60], [90, 90, 100]],
  dark: [[150, 140, 255], [242, 161, 75], [91, 201, 142], [110, 160, 255], [255, 120, 170], [210, 205, 80], [80, 205, 220], [199, 146, 238], [220, 150, 120], [170, 170, 185]],
};
const FREE = { light: [246, 245, 249], dark: [31, 29, 37] };
export const LIGHTS = { light: { read: "#c2630a", written: "#1a7f4e" }, dark: { read: "#ffb45c", written: "#63e6a2" } };

export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
}

const packed = ([red, green, blue]) => (255 << 24) | (blue << 16) | (green << 8) | red;

/** 256 colours as the pixels of an ImageData, and the one of a free cell. */
export function palette(named) {
  const theme = isDark() ? "dark" : "light";
  const table = new Uint32Array(256);
  for (let shade = 0; shade < 256; shade++) {
    if (named) table[shade] = packed(NAMES[theme][shade % NAMES[theme].length]);
    else {
      const stops = SCALES[theme];
      const along = (shade / 255) * (stops.length - 1);
      const low = Math.min(Math.floor(along), stops.length - 2);
      table[shade] = packed(stops[low].map((from, part) => Math.round(from + (along - low) * (stops[low + 1][part] - from))));
    }
  }
  return { table, free: packed(FREE[theme]), theme };
}

export const css = (pixel) => `rgb(${pixel & 255} ${(pixel >> 8) & 255} ${(pixel >> 16) & 255})`;
