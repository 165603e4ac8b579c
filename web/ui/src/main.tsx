// SPDX-License-Identifier: GPL-2.0-or-later
import { render } from 'preact';
import { report } from './state/app.ts';
import { followReplay } from './state/debug.ts';
import { keepUrl, start } from './state/session.ts';
import { App } from './shell/App.tsx';

window.addEventListener('unhandledrejection', (e) => report('Something went wrong', e.reason));
render(<App />, document.querySelector('#app')!);
start();
keepUrl();
followReplay();
