// What ComfyUI's page offers to extensions: its published types, and below what they leave out of what is used here.

type ComfyApp = import('@comfyorg/comfyui-frontend-types').ComfyApp
type PageNode = Parameters<NonNullable<Parameters<ComfyApp['registerExtension']>[0]['nodeCreated']>>[0]
type ComfyWidget = NonNullable<PageNode['widgets']>[number] & { options: { hidden?: boolean } }
/** A node of this pack: it has widgets, and is told what it gave. */
type ComfyNode = PageNode & {
    widgets: ComfyWidget[]
    addDOMWidget(name: string, type: string, element: HTMLElement, options: object): ComfyWidget
    onExecuted?(output: Record<string, any>): void
}

declare module '*/scripts/app.js' {
    export const app: ComfyApp & { extensionManager: { workflow?: { activeWorkflow?: { changeTracker: { checkState(): void } | null } | null } } }
}
declare module '*/scripts/api.js' {
    export const api: import('@comfyorg/comfyui-frontend-types').ComfyApi
}
