// What ComfyUI's page offers to extensions, as far as it is used here.
declare module '*/scripts/app.js' {
    export const app: any
}
declare module '*/scripts/api.js' {
    export const api: { apiURL(path: string): string }
}
